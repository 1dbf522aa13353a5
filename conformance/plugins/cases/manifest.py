"""How a plugin is loaded."""

from case import extism


def test(name, plugin="extism_test", **more):
    return extism(f"manifest/{name}", plugin, ("echo", "loaded"), **more)


CASES = [
    test("plain"),
    test("hash/wrong", wasm={"hash": "0" * 64}),
    test("hash/malformed", wasm={"hash": "xyz"}),
    test("name", wasm={"name": "other"}),
    test("unknown_field", manifest={"nonsense": 1}),
    test("unknown_field/of_the_module", wasm={"nonsense": 1}),
    test("timeout/text", manifest={"timeout_ms": "5"}),
    test("config/number", config={"n": 1}),
    extism("manifest/no_wasi", "extism_hello_go", ("hello", "x")),
]
