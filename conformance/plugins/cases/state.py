"""Configuration, variables, the instance, logs, functions of the host."""

from case import extism


def test(name, *calls, **more):
    return extism(f"state/{name}", "extism_test", *calls, **more)


CASES = [
    test("config", ("config_get", "key"), ("config_get", "empty"), ("config_get", "none"), ("config_get", ""), ("config_get", "ä"),
         config={"key": "value", "empty": "", "ä": "ü 🦀"}),
    test("config/long", ("config_get", "k" * 1000), config={"k" * 1000: "v" * 10000}),
    test("vars", ("var_get", "a"), ("var_set", "a=1"), ("var_get", "a"), ("var_set", "a=22"), ("var_get", "a"), ("var_get", "b"), ("var_remove", "a"), ("var_get", "a")),
    test("vars/empty", ("var_set", "a=1"), ("var_set", "a="), ("var_get", "a"), ("var_set", "=nameless"), ("var_get", "")),
    test("vars/after_an_error", ("var_set", "a=1"), ("fail", "1:x"), ("var_get", "a"), "traps", ("var_get", "a")),
    # A variable counts as its key, its value and 48 bytes.
    test("vars/full", ("var_fill", "a=451"), ("var_fill", "b=452"), ("var_get", "b"), ("var_fill", "a=951"), ("var_fill", "a=950"), ("var_fill", "a=952"),
         manifest={"memory": {"max_var_bytes": 1000}}),
    test("vars/off", ("var_set", "a=1"), ("var_get", "a"), manifest={"memory": {"max_var_bytes": 0}}),
    test("vars/default", ("var_fill", "a=1048527"), ("var_fill", "a=1048528")),
    test("instance", "count", "count", ("fail", "1:x"), "count"),
    test("log/off", ("log_all", "text")),
    *(test(f"log/{level}", ("log_all", "text"), level=level) for level in ("trace", "debug", "info", "warn", "error")),
    extism("state/functions", "extism_user", ("reversed", "abc"), ("reversed", ""), ("sum", "1 2 39"), ("sum", "-1 9223372036854775807"), functions=True),
    extism("state/functions/missing", "extism_user", ("reversed", "abc")),
]
