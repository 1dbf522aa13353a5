"""Time and memory."""

from case import extism


def test(name, *calls, **more):
    return extism(f"limit/{name}", "extism_test", *calls, **more)


CASES = [
    test("time", "count", "loops", "count", manifest={"timeout_ms": 300}),
    test("memory", ("eat", "1"), ("eat", "64"), ("eat", "1"), manifest={"memory": {"max_pages": 100}}),
    test("memory/kernel", ("eat_kernel", "2"), ("eat_kernel", "100"), ("eat_kernel", "1"), manifest={"memory": {"max_pages": 100}}),
    test("memory/output", ("produce", "1000000"), ("produce", "20000000"), ("produce", "3"), manifest={"memory": {"max_pages": 100}}),
    test("memory/too_little", ("echo", "x"), manifest={"memory": {"max_pages": 1}}),
    test("output/large", ("produce", "8388608")),
]
