"""Kinds of requests that plugins answer, of Extism and of waPC."""

from kind import Kind, expect, get, leaving, pattern
from message import Request

MODULES = {"plugin": "extism_test", "plugin_own": "extism_test", "plugin_calls": "extism_call_out", "plugin_waits": "extism_call_out",
           "guest": "wapc_test", "guest_own": "wapc_test"}
PARAMETERS = {"plugin": "cpu_time=50ms", "plugin_own": "isolation=request cpu_time=50ms", "guest": "cpu_time=50ms",
              "guest_own": "isolation=request cpu_time=50ms",
              # A name of an upstream block.
              "plugin_calls": "allowed_hosts=up config=url:http://up/delay/0.05",
              "plugin_waits": "allowed_hosts=up config=url:http://up/delay/0.5 isolation=request"}


def kinds(_):
    late = expect(body=b'{"status":200,"body":"late"}')
    fails = expect(500)
    own = expect(body=b"1")
    return [
        Kind("plugin-echo", 6, [], "wasm_handler plugin function=echo;", echo("plugin-echo")),
        Kind("plugin-own", 4, [], "wasm_handler plugin_own function=count;", get("/plugin-own", own)),
        Kind("plugin-call", 12, [], "wasm_handler plugin_calls;", get("/plugin-call", late)),
        Kind("plugin-leave", 3, [], "wasm_handler plugin_waits;", leaving("/plugin-leave", 0.3)),
        Kind("plugin-trap", 2, [], "wasm_handler plugin function=error_then_trap;", get("/plugin-trap", fails)),
        Kind("plugin-own-trap", 2, [], "wasm_handler plugin_own function=traps;", get("/plugin-own-trap", fails)),
        Kind("plugin-loop", 1, [], "wasm_handler plugin function=loops;", get("/plugin-loop", fails)),
        Kind("guest-echo", 6, [], "wasm_handler guest function=echo;", echo("guest-echo")),
        Kind("guest-own", 4, [], "wasm_handler guest_own function=count;", get("/guest-own", own)),
        Kind("guest-trap", 2, [], "wasm_handler guest function=panic;", get("/guest-trap", fails)),
    ]


def echo(path):
    def make(rng):
        body = pattern(rng.choice((0, 1, 1000, 20_000, 300_000)))
        return Request(f"/{path}", "POST", body=body), expect(body=body)

    return make
