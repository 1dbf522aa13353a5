"""gRPC calls and streams, against a gRPC server."""

from case import Case
from ops import PAUSE, hostcalls

HEARD = {
    "grpc_initial_metadata": [["log_header", "grpc_initial_metadata", ":status"], ["log_header", "grpc_initial_metadata", "content-type"], ["log_header", "grpc_initial_metadata", "x-initial"]],
    "grpc_receive": [["log_body", "grpc", 0, -1], ["get_status", "s"], ["log", "info", {"join": ["status ", {"var": "s.code"}]}]],
    "grpc_trailing_metadata": [["log_header", "grpc_trailing_metadata", "x-trailing"], ["log_header", "grpc_trailing_metadata", "grpc-status"]],
    "grpc_close": [["get_status", "s"], ["log", "info", {"join": ["status ", {"var": "s.code"}]}]],
}


def call(method="Unary", message="hi", upstream="{grpc}", ms=60000, metadata=()):
    return ["grpc_call", "g", upstream, "test.Echo", method, list(metadata), message, ms]


def stream(method="Chat", upstream="{grpc}", metadata=()):
    return ["grpc_stream", "g", upstream, "test.Echo", method, list(metadata)]


def heard(*ops, resume=("grpc_receive", "grpc_close"), **more):
    callbacks = {name: [*more.pop(name, ops_), *([["continue", "request"]] if name in resume else [])] for name, ops_ in HEARD.items()}
    return hostcalls(request_headers=[*ops, PAUSE], **callbacks, **more)


def case(name, *ops, requests=None, **more):
    return Case(f"grpc/{name}", heard(*ops, **more), requests or {}, grpc=True)


CLOSED = {"resume": ("grpc_close",)}

CASES = [
    case("call", call()),
    case("call/upper", call("Upper", "abc")),
    case("call/empty_message", call(message="")),
    case("call/metadata", call("Metadata", metadata=[["x-one", "1"], ["x-bin-bin", "AP8="]]), grpc_receive=[["log", "info", "received"]], trace=False),
    case("call/large", call("Size", "100000"), grpc_receive=[["log_body_length", "grpc", 0, -1]]),
    case("call/status", call("Status", "5 no such thing")),
    case("call/unknown_method", call("Nope")),
    case("call/timeout", call("Delay", "2", ms=200)),
    case("call/refused", call(upstream="{dead}")),
    Case("grpc/call/unknown_upstream", hostcalls(request_headers=[call(upstream="nobody"), stream(upstream="nobody")]), {}, grpc=True),
    Case("grpc/unknown_ids", hostcalls(request_headers=[["grpc_send", 99, "x", False], ["grpc_close", 99], ["grpc_cancel", 99],
        *(["status", name] for name in ("grpc_call", "grpc_call:bad_pointer", "grpc_call:bad_return", "grpc_stream", "grpc_stream:bad_pointer", "grpc_stream:bad_return", "get_status", "get_status:bad_return"))]), {}),
    case("call/cancelled", call("Delay", "1"), ["grpc_cancel", "g"], ["grpc_cancel", "g"], ["continue", "request"]),
    case("call/closed", call("Delay", "1"), ["grpc_send", "g", "x", False], ["grpc_close", "g"], ["grpc_close", "g"], ["continue", "request"]),
    case("stream", stream(), ["grpc_send", "g", "one", False], ["grpc_send", "g", "bye", True], **CLOSED),
    case("stream/closed", stream("Count"), ["grpc_send", "g", "one", False], ["grpc_send", "g", "two", False], ["grpc_close", "g"], **CLOSED),
    case("stream/metadata", stream("Metadata", metadata=[["x-one", "1"]]), ["grpc_send", "g", "", True], grpc_receive=[["log", "info", "received"]], trace=False, **CLOSED),
    case("stream/split", stream("Split"), ["grpc_send", "g", "abc", True], **CLOSED),
    case("stream/abort", stream("Abort"), ["grpc_send", "g", "abc", True], **CLOSED),
    case("stream/status", stream("Status"), ["grpc_send", "g", "7 denied", True], **CLOSED),
    case("stream/refused", stream(upstream="{dead}"), **CLOSED),
    case("stream/answering", stream(), ["grpc_send", "g", "one", False],
         grpc_receive=[["log_body", "grpc", 0, -1], ["if", {"var": "messages"}, "3", [["grpc_send", "g", "bye", True]], [["grpc_send", "g", "more", False]]]], **CLOSED),
    case("stream/cancelled", stream(), ["grpc_send", "g", "one", False], ["grpc_cancel", "g"], ["grpc_send", "g", "two", False], ["grpc_cancel", "g"], ["continue", "request"]),
    case("stream/send_after_end", stream(), ["grpc_send", "g", "bye", True], grpc_close=[["grpc_cancel", "g"], ["grpc_cancel", "g"]], **CLOSED),
]
