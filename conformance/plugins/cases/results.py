"""How calls end: codes, errors, traps."""

from case import extism

COUNT = "count"


def test(name, *calls, **more):
    return extism(f"result/{name}", "extism_test", *calls, **more)


CASES = [
    test("error", ("fail", "1:the text")),
    test("error/code", ("fail", "7:seven"), ("fail", "-5:minus five"), ("fail", "2147483647:most")),
    test("error/empty", ("fail", "3:")),
    test("error/long", ("fail", "1:" + "e" * 100000)),
    test("error/not_ascii", ("fail", "1:Fehler: ä 🦀")),
    test("error/code_0", "error_zero"),
    test("code", "code_seven"),
    test("code/and_error", "output_and_error"),
    test("error/then_trap", "error_then_trap"),
    test("error/of_the_call_before", ("fail", "1:first"), ("echo", "second")),
    test("output/twice", "output_twice"),
    test("output/none", "output_none"),
    test("output/of_the_call_before", ("echo", "first"), "output_none"),
    test("trap", "traps"),
    test("panic", "panics"),
    test("stack", "recurses"),
    test("trap/then", COUNT, "traps", COUNT, "panics", COUNT),
    test("type/nothing", "returns_nothing"),
    test("type/i64", "returns_i64"),
    test("type/argument", "takes_argument"),
    test("unknown", "no_such_function"),
    test("not_a_function", "memory"),
    *(test(f"echo/{size}", ("echo", bytes(i * 7 % 256 for i in range(size)))) for size in (0, 1, 7, 8, 9, 15, 16, 4095, 65536, 1 << 20)),
]
