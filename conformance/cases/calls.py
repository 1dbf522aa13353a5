"""HTTP calls: answers and failures, and from where they can be made."""

from case import Case
from ops import PAUSE, hostcalls, http_call
from upstream import answer, chunked

SIDE = [("send", answer(b"side", headers=[("x-side", "1"), ("x-side", "2")]))]
SLOW = [("wait", 0.4), *SIDE]
# Answers when the request that the call was made for is over.
AFTERWARDS = [("over",), *SIDE]
SHOWN = [
    ["log_header", "call_response", ":status"], ["log_header", "call_response", "x-side"], ["log_body", "call_response", 0, -1],
    ["log_header", "call_response", "x-none"], ["log_headers", "call_response_trailers"], ["log_body", "call_response", 1, 2],
    ["continue", "request"],
]
FAILED = [["if_failed", [["log", "info", "failed"]], [["log_header", "call_response", ":status"]]], ["continue", "request"]]


def call(op, side=SIDE, then=SHOWN, **more):
    return {"filters": hostcalls(request_headers=[op, PAUSE], http_call_response=then), "requests": {}, "side": side, **more}


def malformed(name, side, ms=60000):
    return Case(f"call/failed/{name}", **call(http_call(ms=ms), side, FAILED))


def numbered(line):
    return [("send", answer(line.encode(), headers=[("x-n", line.split(" ")[1][1:])]))]


CASES = [
    Case("call/get", **call(http_call())),
    Case("call/post", **call(http_call(method="POST", path="/c?x=1", headers=[["x-a", "1"], ["x-a", "2"], ["X-Upper", "3"]], body="data"))),
    Case("call/post/large", **call(["http_call", "a", "{side}", [[":method", "POST"], [":path", "/"], [":authority", "a"]], "abcdefgh" * 8000, [], 60000],
         side=[("send", answer(b"x" * 50000))], then=[["log_body_length", "call_response", 0, -1], ["continue", "request"]])),
    Case("call/head", **call(http_call(method="HEAD"), side=[("send", b"HTTP/1.1 200 OK\r\nserver: upstream\r\ncontent-length: 5\r\n\r\n")])),
    Case("call/trailers", **call(http_call(), side=chunked([b"ab", b"cd"], trailers=[("x-t", "1"), ("x-t", "2")], gap=0.02))),
    Case("call/request_trailers", **call(http_call(method="POST", body="data", trailers=[["x-t", "1"]]))),
    Case("call/early_hints", **call(http_call(), side=[("send", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No Content\r\nx-side: 3\r\n\r\n")])),
    Case("call/until_close", **call(http_call(), side=[("send", b"HTTP/1.1 200 OK\r\nx-side: 1\r\n\r\nbody"), ("close",)])),
    Case("call/error_status", **call(http_call(), side=[("send", answer(b"no", status="500 Oops"))])),
    Case("call/no_timeout", **call(http_call(ms=0), side=SLOW)),
    Case("call/host_for_authority", **call(["http_call", "a", "{side}", [[":method", "GET"], [":path", "/"], ["host", "h.example"]], "", [], 60000])),
    Case("call/refused/unknown_upstream", hostcalls(request_headers=[http_call(upstream="nobody")]), {}),
    Case("call/refused/pseudo_headers", hostcalls(request_headers=[
        ["http_call", "a", "{side}", headers, "", [], 60000] for headers in (
            [[":path", "/"], [":authority", "a"]], [[":method", "GET"], [":authority", "a"]], [[":method", "GET"], [":path", "/"]], [])]), {}, side=SIDE),
    Case("call/refused/misuse", hostcalls(request_headers=[["status", name] for name in (
        "http_call", "http_call:bad_pointer", "http_call:bad_headers", "http_call:bad_return")]), {}),
    Case("call/failed/refused", **call(http_call(upstream="{dead}"), then=FAILED)),
    malformed("timeout", [("hold",)], ms=200),
    malformed("reset", [("reset",)]),
    malformed("closed", [("close",)]),
    malformed("malformed", [("send", b"nonsense\r\n\r\n"), ("close",)]),
    malformed("truncated", [("send", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"), ("wait", 0.05), ("close",)]),
    malformed("bad_chunks", [("send", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc"), ("close",)]),
    malformed("huge_header", [("send", b"HTTP/1.1 200 OK\r\nx-big: " + b"a" * 200000 + b"\r\n\r\n"), ("close",)]),
    Case("call/failed/maps", hostcalls(request_headers=[http_call(ms=300), PAUSE], http_call_response=[["log_headers", "call_response"], ["log_body", "call_response", 0, -1],
         ["log_headers", "call_response_trailers"], ["continue", "request"]]), {}, side=[("send", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"), ("wait", 0.05), ("close",)]),
    Case("call/parallel", hostcalls(trace=False, request_headers=[*(http_call(str(n), path=f"/{n}") for n in range(8)), PAUSE],
         http_call_response=[["log_header", "call_response", "x-n"], ["if", {"var": "responses"}, "8", [["continue", "request"]]]]), {}, side=numbered, order="sorted", compare=("client", "log")),
    Case("call/chained", hostcalls(request_headers=[http_call("0", path="/0"), PAUSE], **{
        **{f"http_call_response:{n}": [["log_header", "call_response", "x-n"], http_call(str(n + 1), path=f"/{n + 1}")] for n in range(3)},
        "http_call_response:3": [["log_header", "call_response", "x-n"], ["continue", "request"]]}), {}, side=numbered),
    Case("call/from/response_headers", hostcalls(response_headers=[http_call(), PAUSE], http_call_response=[*SHOWN, ["add_header", "response", "x-late", "1"], ["continue", "response"]]), {}, side=SIDE),
    *(
        Case(f"call/from/{phase}", hostcalls(**{phase: [http_call()]}, http_call_response=[["log_header", "call_response", ":status"]]),
             {"method": "POST", "body": b"hello"}, side=SIDE, compare=("client", "up", "side"))
        for phase in ("request_body_end", "response_body_end", "log", "done", "delete")
    ),
    Case("call/from/tick", hostcalls(request_headers=[["set_tick", 50]], tick=[["set_tick", 0], http_call()],
         http_call_response=[["log_context"], ["log_header", "call_response", ":status"]]), {}, side=SIDE, asks={"side": 1}),
    Case("call/from/configure", hostcalls(configure=[http_call()], http_call_response=[["log_header", "call_response", ":status"]]), {}, side=SIDE, compare=("client", "up")),
    Case("call/from/two_filters", [hostcalls(request_headers=[http_call(path=f"/{n}"), PAUSE], http_call_response=SHOWN) for n in range(2)], {}, side=SIDE),
    Case("call/from/two_requests", hostcalls(request_headers=[http_call(), PAUSE], http_call_response=SHOWN), [{}, {"path": "/2"}], side=SIDE),
    Case("call/context", hostcalls(request_headers=[http_call(), PAUSE], http_call_response=[
        ["effective_context", "root"], ["log_header", "request", ":path"], ["log_header", "call_response", ":status"], ["effective_context", "own"],
        ["log_header", "request", ":path"], ["continue", "request"]]), {}, side=SIDE),
    Case("call/after_the_end", hostcalls(request_headers=[http_call()], http_call_response=[["log_header", "call_response", ":status"]]), {}, side=AFTERWARDS),
    Case("call/client_leaves", hostcalls(request_headers=[http_call(), PAUSE], http_call_response=[["continue", "request"]]), {"leave": "side"}, side=AFTERWARDS, compare=("client", "up", "log")),
    Case("call/header_from_call", hostcalls(request_headers=[http_call(), PAUSE], http_call_response=[["copy_header", "call_response", "x-side", "request", "x-from"], ["body_to_header", "call_response", "request", "x-body"], ["continue", "request"]]), {}, side=SIDE),
]
