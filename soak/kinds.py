"""The kinds of requests: the location that each asks, with its filters, and which answers to it are
right. Guests are hostcalls (filters/hostcalls/README.md) where nothing else is said.

    python3 soak/kinds.py ENVIRONMENT     prints {"http": ..., "server": ...}, directives for nginx.conf
"""

import json
import sys

import components
import plugins
from kind import Environment, Kind, either, expect, get, leaving, pattern
from message import Request


def call(path, upstream, ms=8000):
    return ["http_call", "a", upstream, [[":method", "GET"], [":path", path], [":authority", "x"]], "", [], ms]


PAUSE = ["if", {"var": "status"}, "0", [["action", "pause"]]]
OUTCOME = ["if_failed", [["let", "a", "failed"]],
           [["let", "a", {"join": [{"header": ["call_response", ":status"]}, " ", {"body": "call_response"}]}]]]
SHOW = ["set_header", "response", "x-call", {"var": "a"}]


def request_call(*arguments):
    """Asks an upstream before the request goes on; the response shows what came of it."""
    return {"request_headers": [call(*arguments), PAUSE], "http_call_response": [OUTCOME, ["continue", "request"]],
            "response_headers": [SHOW]}


def response_call(*arguments):
    return {"response_headers": [call(*arguments), PAUSE],
            "http_call_response": [OUTCOME, SHOW, ["continue", "response"]]}


def grpc_call(method, message, port, ms=8000):
    outcome = lambda *parts: [["let", "a", {"join": [{"var": "a"}, *parts]}]]
    go_on = [["continue", "request"]]
    configuration = {"grpc_receive": outcome({"body": "grpc"}), "response_headers": [SHOW],
                     "grpc_close": outcome("|code ", {"var": "code"}) + go_on}
    upstream = f"127.0.0.1:{port}"
    if method == "Chat":
        start = [["grpc_stream", "g", upstream, "test.Echo", method, []], ["grpc_send", "g", message, True]]
    else:
        start = [["grpc_call", "g", upstream, "test.Echo", method, [], message, ms]]
        configuration["grpc_receive"] += go_on
    return configuration | {"request_headers": [*start, PAUSE]}


def sized(rng, path, wrong=lambda size: expect(body=pattern(size))):
    size = rng.choice((0, 1, 1000, 20_000, 70_000, 300_000))
    return Request(f"/{path}/size/{size}"), wrong(size)


def upload(path, changed):
    """A body; its upstream sees `changed(body)`."""
    def make(rng):
        size = rng.choice((1, 100, 5000, 40_000))
        body = bytes(rng.choices(b"abcxyz", k=size))
        return Request(f"/{path}/echo", "POST", body=body), uploaded(changed(body))

    return make


def uploaded(body):
    def wrong(answer):
        try:
            seen = json.loads(answer.body)["body"].encode() if answer.status == 200 else None
        except ValueError as error:
            return str(error)
        if seen is None:
            return f"status {answer.status}"
        return None if seen == body else f"upstream saw {len(seen)} bytes, {seen[:40]!r}, not {body[:40]!r}"

    return wrong


def counted(answer):
    count = answer.headers.get("x-count", [""])[0]
    return None if answer.status == 200 and count.isdigit() else f"status {answer.status}, x-count: {count!r}"


def metrics_page(answer):
    known = b"nginx_wasm_instances" in answer.body
    return None if answer.status == 200 and known else f"status {answer.status}, {answer.body[:40]!r}"


OK, FAILED = expect(x_call="200 hello", body=b"text"), expect(x_call="failed", body=b"text")
NOBODY = "127.0.0.1:1"
TEXT = "return 200 text;"
MARKED = [("headers", {"response": {"set": {"x-f": "1"}}})]


def kinds(env):
    up = "proxy_pass http://up/"
    faults = f"127.0.0.1:{env.faults}"
    h = lambda configuration: [("h", configuration)]
    mark = lambda name, module="h": (module, {"response_headers": [["add_header", "response", f"x-{name}", name]]})
    return [
        Kind("plain", 20, MARKED, TEXT, get("/plain", expect(body=b"text", x_f="1"))),
        Kind("local", 6, h({"request_headers": [["local_response", 403, [["x-l", "1"]], "no"]]}), TEXT,
             get("/local", expect(403, b"no", x_l="1"))),
        Kind("chain", 10, [mark("one"), mark("two"), mark("three", "other")], f"{up};",
             lambda rng: sized(rng, "chain", lambda size: expect(body=pattern(size), x_one="one", x_two="two", x_three="three"))),
        Kind("download", 8, [("body_stream", {"direction": "response"})], f"{up};",
             lambda rng: sized(rng, "download", lambda size: expect(body=pattern(size).upper()))),
        Kind("replace", 5, [("body_rewrite", {"find": "def", "replace": "_"})], f"{up};",
             lambda rng: sized(rng, "replace", lambda size: expect(body=pattern(size).replace(b"def", b"_")))),
        Kind("upload", 10, [("body_stream", {"direction": "request"})], f"{up};", upload("upload", bytes.upper)),
        Kind("redirect", 4, [mark("one")], "error_page 404 =200 /plain; return 404;",
             get("/redirect", expect(body=b"text", x_f="1"))),
        Kind("subrequest", 4, [mark("one")], f"auth_request /plain; {TEXT}", get("/subrequest", expect(body=b"text", x_one="one"))),
        Kind("call", 10, h(request_call("/status/200/hello", "up")), TEXT, get("/call", OK)),
        Kind("call-address", 6, h(request_call("/status/200/hello", faults)), TEXT, get("/call-address", OK)),
        Kind("call-response", 6, h(response_call("/status/200/hello", "up")), TEXT, get("/call-response", OK)),
        Kind("call-refused", 3, h(request_call("/", NOBODY)), TEXT, get("/call-refused", FAILED)),
        Kind("call-reset", 3, h(request_call("/reset", faults)), TEXT, get("/call-reset", FAILED)),
        Kind("call-broken", 3, h(response_call("/reset-body", faults)), TEXT, get("/call-broken", FAILED)),
        Kind("call-late", 2, h(request_call("/never", faults, 150)), TEXT, get("/call-late", FAILED)),
        Kind("call-denied", 3, h({"request_headers": [call("/status/401", "up"), PAUSE],
                                  "http_call_response": [["local_response", 403, [], {"header": ["call_response", ":status"]}]]}),
             TEXT, get("/call-denied", expect(403, b"401"))),
        Kind("call-last", 4, h({"log": [call("/status/200", "up")]}), TEXT, get("/call-last", expect(body=b"text"))),
        Kind("grpc", 4, h(grpc_call("Upper", "hello", env.grpc)), TEXT, get("/grpc", expect(x_call="HELLO"))),
        Kind("grpc-stream", 3, h(grpc_call("Chat", "bye", env.grpc)), TEXT, get("/grpc-stream", expect(x_call="1: bye|code 0"))),
        Kind("grpc-error", 2, h(grpc_call("Status", "7 no", env.grpc)), TEXT, get("/grpc-error", expect(x_call="|code 7"))),
        Kind("grpc-late", 1, h(grpc_call("Delay", "1", env.grpc, 150)), TEXT, get("/grpc-late", expect(x_call="|code 4"))),
        Kind("grpc-refused", 2, h(grpc_call("Upper", "hello", 1)), TEXT, get("/grpc-refused", expect(x_call="|code 14"))),
        Kind("shared", 5, [("counter", {"tick_ms": 200}), ("queue", {"queue": "q", "upstream": "up", "path": "/status/204"})], TEXT,
             get("/shared", counted)),
        Kind("pause", 1, h({"request_headers": [["action", "pause"]]}), f"wasm_pause_timeout 200ms; {TEXT}",
             get("/pause", expect(504))),
        Kind("metrics", 1, [], "wasm_metrics;", get("/metrics", metrics_page)),
        Kind("leave-download", 3, [("body_stream", {"direction": "response"})], f"proxy_buffering off; {up};",
             leaving("/leave-download/drip/0.05", 0.3)),
        Kind("leave-big", 2, [("body_stream", {"direction": "response"})], f"{up};", leaving("/leave-big/size/2000000", 0.1)),
        Kind("leave-upload", 3, [("body_stream", {"direction": "request"})], f"{up};",
             leaving("/leave-upload/echo", 0.3, method="POST", body=b"a" * 20_000, withheld=1000)),
        Kind("leave-pause", 3, h(request_call("/delay/0.5", faults)), TEXT, leaving("/leave-pause", 0.3)),
        Kind("leave-grpc", 2, h(grpc_call("Delay", "0.5", env.grpc)), TEXT, leaving("/leave-grpc", 0.3)),
        *waiting(env, h),
        *ended(up, mark),
        *trapping(up),
        *isolated(up),
        *plugins.kinds(env),
        *components.kinds(env),
    ]


def waiting(env, h):
    """Contexts that wait for what they have begun, when their requests have ended."""
    done = {"done": [["return_false"]], **{told: [["done"]] for told in ("http_call_response", "grpc_receive", "grpc_close")}}
    begun = lambda start: h({"request_headers": [start, ["local_response", 200, [], "bye"]], **done})
    left = lambda start: h({"request_headers": [start, PAUSE], **done})
    up = f"127.0.0.1:{env.grpc}"
    late = ["grpc_call", "g", up, "test.Echo", "Delay", [], "0.1", 8000]
    stream = ["grpc_stream", "g", up, "test.Echo", "Chat", []]
    bye = expect(body=b"bye")
    return [
        Kind("wait", 4, begun(call("/delay/0.05", "up")), TEXT, get("/wait", bye)),
        Kind("wait-refused", 2, begun(call("/", NOBODY)), TEXT, get("/wait-refused", bye)),
        Kind("wait-grpc", 2, begun(late), TEXT, get("/wait-grpc", bye)),
        Kind("wait-stream", 2, begun(stream), TEXT, get("/wait-stream", bye)),
        Kind("wait-leave", 2, left(call("/delay/0.5", "up")), TEXT, leaving("/wait-leave", 0.3)),
        Kind("wait-leave-stream", 2, left(stream), TEXT, leaving("/wait-leave-stream", 0.3)),
    ]


def ended(up, mark):
    """A tick answers and closes the last contexts of subrequests, which have ended while their main requests have not."""
    n, made = {"var": "n"}, {"var": "made"}
    act = {"context_create": [["let_root", "made", {"add": [made, 1]}]], "configure": [["set_tick", 20]],
           "tick": [["let", "n", {"add": [made, -4]}],
                    ["repeat", 6, [["let", "n", {"add": [n, 1]}], ["effective_context", n],
                                   ["if", {"var": "status"}, "0", [["local_response", 409, [], "tick"], ["close", "request"], ["continue", "request"]]]]]]}
    return [
        Kind("acted-on", 1, [("act", act)], TEXT, get("/acted-on", expect(body=b"text"))),
        Kind("ended", 4, [mark("one")], f"auth_request /acted-on; mirror /acted-on; {up};",
             get("/ended/delay/0.05", expect(body=b"late", x_one="one"))),
    ]


def trapping(up):
    """Traps cost their own request; others in the same instance end with it."""
    ends, goes_on = expect(503), expect(body=b"text", x_f="1")
    trap = lambda callback: [("trap", {callback: [["abort"]]})]
    return [
        Kind("trap", 2, trap("request_headers"), TEXT, get("/trap", ends)),
        Kind("trap-response", 1, trap("response_headers"), TEXT, get("/trap-response", ends)),
        Kind("trap-body", 1, trap("response_body_end"), f"{up};", get("/trap-body/size/500000", ends), breaks=True),
        Kind("trap-call", 1, [("trap", request_call("/status/200", "up") | {"http_call_response": [["abort"]]})], TEXT,
             get("/trap-call", ends)),
        Kind("trap-log", 1, trap("log"), TEXT, get("/trap-log", either(expect(body=b"text"), ends))),
        Kind("beside-traps", 6, [("trap", request_call("/delay/0.05", "up"))], TEXT,
             get("/beside-traps", either(expect(x_call="200 late", body=b"text"), ends))),
        Kind("loop", 1, [("loop", {"request_headers": [["spin"]]})], TEXT, get("/loop", ends)),
        Kind("memory", 1, [("small", {"request_headers": [["allocate", 8]]})], TEXT, get("/memory", ends)),
        # These filters are skipped, and the others are not.
        Kind("open", 2, [("open", {"request_headers": [["abort"]]}), *MARKED], TEXT, get("/open", goes_on)),
        Kind("open-response", 1, [*MARKED, ("open", {"response_headers": [["abort"]]})], TEXT, get("/open-response", goes_on)),
        Kind("open-loop", 1, [("open", {"request_headers": [["spin"]]}), *MARKED], TEXT, get("/open-loop", goes_on)),
        Kind("open-body", 1, [("open", {"request_body": [["abort"]]}), *MARKED], f"{up};", upload("open-body", bytes)),
        Kind("beside-open", 3, [("open", request_call("/delay/0.05", "up")), *MARKED], TEXT, get("/beside-open", goes_on)),
        Kind("too-large", 1, [("body_rewrite", {"find": "def", "replace": "_"})], f"wasm_buffer_size 64k; {up};",
             get("/too-large/size/200000", expect(502))),
    ]


def isolated(up):
    """isolation=request: nothing of a request is seen in another one, and no trap costs another one."""
    own = lambda configuration: [("own_count", COUNT), ("own", configuration)]
    n = {"var": "n"}
    first = {"request_headers": [["let_root", "n", {"add": [n, 1]}]], "response_headers": [["set_header", "response", "x-n", n]]}
    stream = {"direction": "response"}
    ends = expect(503)
    return [
        Kind("own", 5, own(first), TEXT, get("/own", expect(body=b"text", x_n="1"))),
        Kind("own-call", 4, own(request_call("/delay/0.05", "up")), TEXT, get("/own-call", expect(x_call="200 late", body=b"text"))),
        Kind("own-late", 1, own(request_call("/never", "up", 150)), TEXT, get("/own-late", FAILED)),
        Kind("own-download", 3, [("own_count", COUNT), ("own_stream", stream)], f"{up};",
             lambda rng: sized(rng, "own-download", lambda size: expect(body=pattern(size).upper()))),
        Kind("own-local", 1, own({"request_headers": [["local_response", 403, [], "no"]]}), TEXT, get("/own-local", expect(403, b"no"))),
        Kind("own-trap", 2, own({"request_headers": [["abort"]]}), TEXT, get("/own-trap", ends)),
        Kind("own-trap-body", 1, own({"response_body_end": [["abort"]]}), f"{up};", get("/own-trap-body/size/500000", ends), breaks=True),
        Kind("own-loop", 1, own({"request_headers": [["spin"]]}), TEXT, get("/own-loop", ends)),
        Kind("own-leave", 2, own(request_call("/delay/0.5", "up")), TEXT, leaving("/own-leave", 0.3)),
        Kind("own-leave-big", 1, [("own_count", COUNT), ("own_stream", stream)], f"{up};", leaving("/own-leave-big/size/2000000", 0.1)),
    ]


CALLBACKS = {"context_create": "created", "done": "done", "log": "logged", "delete": "deleted"}
# Counts contexts: in variables of its root context, which says at the end of its worker how many
# there were, and in metrics.
COUNT = {
    "configure": [["log", "warn", "lifetime begins"],
                  *(["define_metric", "counter", name, f"m.{name}"] for name in CALLBACKS.values())],
    **{callback: [["let_root", name, {"add": [{"var": name}, 1]}], ["increment_metric", {"var": f"m.{name}"}, 1]]
       for callback, name in CALLBACKS.items()},
    "root_done": [["log", "warn", {"join": ["lifetime ends:", *(part for name in CALLBACKS.values()
                                                               for part in (f" {name}=", {"add": [{"var": name}, 0]}))]}]],
}

# Of `wasm_module`.
PARAMETERS = {"loop": "cpu_time=50ms", "small": "memory=4m", "open": "on_failure=open cpu_time=50ms",
              "own": "isolation=request cpu_time=50ms", "own_stream": "isolation=request", "own_count": "isolation=request", **plugins.PARAMETERS, **components.PARAMETERS}
MODULES = {"count": "hostcalls", "h": "hostcalls", "other": "hostcalls", "trap": "hostcalls", "headers": "headers",
           "body_stream": "body_stream", "body_rewrite": "body_rewrite", "counter": "shared_counter",
           "queue": "queue_log", "tick": "hostcalls", "act": "hostcalls", "loop": "hostcalls", "small": "hostcalls", "open": "hostcalls",
           "own": "hostcalls", "own_stream": "body_stream", "own_count": "hostcalls", **plugins.MODULES,
           **components.MODULES}
COUNTING = ("count", "own_count")


def directives(env, names=None):
    """For `http` and for `server`; of all kinds, or of these."""
    http = [f"wasm_module {name} {env.filters}/{guest}.wasm {PARAMETERS.get(name, '')};" for name, guest in MODULES.items()]
    http += [f"wasm_module version {env.guest or env.filters + '/headers.wasm'};",
             'proxy_http_version 1.1; proxy_set_header Connection "";',
             f"upstream up {{ server 127.0.0.1:{env.faults}; keepalive 16; }}"]
    server = [location("tick", [("tick", {"configure": [["set_tick", 100]], "tick": [call("/status/204", "up")]})], TEXT)]
    version = ("version", {"response": {"set": {"x-version": str(env.version)}}})
    for kind in kinds(env):
        if names is None or kind.name in names:
            server.append(location(kind.name, [("count", COUNT), version, *kind.filters] if kind.filters else [], kind.content))
    return {"http": "\n".join(http), "server": "\n".join(server)}


def location(name, filters, content):
    lines = [f"    wasm_filter {module} '{json.dumps(configuration)}';" for module, configuration in filters]
    end = "/" if "proxy_pass" in content else ""
    return "\n".join([f"location /{name}{end} {{", *lines, f"    {content}", "}"])


if __name__ == "__main__":
    print(json.dumps(directives(Environment(**json.loads(sys.argv[1])), sys.argv[2:] or None)))
