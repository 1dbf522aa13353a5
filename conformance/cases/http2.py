"""Clients of HTTP/2."""

from case import Case
from ops import LOCAL, hostcalls, pause_for_call
from upstream import answer, chunked

SIDE = [("wait", 0.2), ("send", answer(b"side"))]
POST = {"method": "POST", "path": "/p?q=1", "body": b"hello", "headers": [("x-a", "1"), ("x-a", "2")]}
TRAILERS = chunked([b"one ", b"two "], trailers=[("x-t", "1")], gap=0.02)


def case(name, filters, request, **more):
    return Case(f"http2/{name}", filters, request, http2=True, **more)


CASES = [
    case("headers", hostcalls(request_headers=[*(["log_header", "request", name] for name in (":method", ":path", ":authority", ":scheme", "host", "x-a")),
        ["add_header", "request", "x-new", "1"], ["get_property", "request.protocol"]], response_headers=[["add_header", "response", "x-new", "2"], ["log_header", "response", ":status"]]), POST),
    case("pseudo", hostcalls(request_headers=[["set_header", "request", ":path", "/other"], ["set_header", "request", ":authority", "other.example"]]), {}),
    case("local", hostcalls(request_headers=[LOCAL]), POST),
    case("pause/request_headers", pause_for_call("request_headers", "request"), POST, side=SIDE),
    case("pause/response_headers", pause_for_call("response_headers", "response"), POST, side=SIDE),
    case("pause/response_body", pause_for_call("response_body", "response", ["set_body", "response", 0, -1, "new"], condition="if_end_of_stream",
        response_headers=[["remove_header", "response", "content-length"]]), {}, side=SIDE),
    case("head", hostcalls(), {"method": "HEAD"}),
    case("trailers", hostcalls(response_trailers=[["log_headers", "response_trailers"], ["add_header", "response_trailers", "x-more", "2"]]), {}, upstream=TRAILERS),
    case("trailers/paused", pause_for_call("response_trailers", "response", ["set_header", "response_trailers", "x-t", "2"]), {}, side=SIDE, upstream=TRAILERS),
    case("close", hostcalls(request_headers=[["close", "request"]]), {}),
]
