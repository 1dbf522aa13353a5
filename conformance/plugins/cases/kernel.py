"""The kernel's functions at their edges: each call by itself, for some end the call."""

from case import extism

CALLS = """
alloc/0 alloc/1<<40 alloc/max length/0 length/nonsense length/max length/block length/inner length/freed length_unsafe/block
free/twice free/0 free/nonsense free/max store/block load_u8/0 load_u8/max load_u64/max load_u64/1<<40 store_u8/max store_u64/max
config_get/0 config_get/nonsense var_get/0 var_get/nonsense var_set/0 var_set/nonsense error_set/0 error_set/nonsense
output_set/nonsense output_set/max log_info/0 log_info/nonsense http_request/0 http_request/nonsense
""".split()
INPUT = "input_length input_load_u8/0 input_load_u8/len input_load_u8/max input_load_u64/0 input_load_u64/len input_load_u64/len-4 input_load_u64/len-8".split()


def test(name, *calls, **more):
    return extism(f"kernel/{name}", "extism_test", *calls, **more)


CASES = [
    *(test(name, ("kernel", name)) for name in CALLS),
    # With what follows the blank, the input is a word longer or shorter.
    *(test(f"{name}/{len(rest)}", ("kernel", f"{name} {rest}")) for name in INPUT for rest in ("", "1234567")),
    test("output/freed", "output_freed"),
    test("output/part", "output_part"),
    test("output/beyond", "output_beyond"),
    test("output/then_wrong", "output_then_wrong"),
]
