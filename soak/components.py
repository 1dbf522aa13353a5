"""Kinds of requests that components answer, of wasi:http 0.2 and 0.3."""

from kind import Kind, expect, get, leaving, pattern
from message import Request

MODULES = {"component": "component_lab", "component3": "component_lab_p3", "component_loop": "component_lab"}
PARAMETERS = {"component_loop": "cpu_time=50ms"}


def kinds(_):
    fails, late = expect(500), expect(body=b"200: late")

    def kind(name, weight, path, make, module="component"):
        return Kind(name, weight, [], f"rewrite ^ {path}? break; wasm_handler {module};", make)

    return [
        kind("component-echo", 6, "/echo", echo("component-echo")),
        kind("component3-echo", 6, "/echo", echo("component3-echo"), "component3"),
        kind("component-call", 6, "/proxy?http://up/delay/0.05", get("/component-call", late)),
        kind("component3-call", 6, "/proxy?http://up/delay/0.05", get("/component3-call", late), "component3"),
        kind("component-leave", 3, "/proxy?http://up/delay/0.5", leaving("/component-leave", 0.3)),
        kind("component3-leave", 3, "/proxy?http://up/delay/0.5", leaving("/component3-leave", 0.3), "component3"),
        kind("component-trap", 2, "/trap-early", get("/component-trap", fails)),
        kind("component3-trap", 2, "/trap-early", get("/component3-trap", fails), "component3"),
        kind("component-loop", 1, "/spin", get("/component-loop", expect(504)), "component_loop"),
    ]


def echo(path):
    def make(rng):
        body = pattern(rng.choice((0, 1, 1000, 20_000, 300_000)))
        return Request(f"/{path}", "POST", body=body), expect(body=body)

    return make
