"""Header maps in each callback, pseudo-headers, what maps there are when."""

from case import Case
from ops import hostcalls
from upstream import answer

COOKIES = [("send", answer(b"body", headers=[("x-up", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]))]
POST = {"method": "POST", "path": "/p", "body": b"hello", "headers": [("x-a", "1"), ("x-a", "2"), ("cookie", "c=1")]}
EVERYWHERE = ("request_headers", "request_body_end", "response_headers", "response_body_end")


def change(map):
    return [
        ["log_header", map, "x-a"], ["log_header", map, "X-A"], ["log_header", map, "x-none"],
        ["add_header", map, "x-new", "1"], ["add_header", map, "X-New", "2"], ["log_header", map, "x-new"],
        ["set_header", map, "x-set", "1"], ["set_header", map, "x-set", "2"], ["set_header", map, "x-a", "3"],
        ["log_header", map, "x-a"], ["remove_header", map, "x-none"], ["add_header", map, "x-empty", ""],
        ["log_header", map, "x-empty"],
    ]


CASES = [
    Case("headers/request", hostcalls(request_headers=change("request")), POST),
    Case("headers/request/pairs", hostcalls(request_headers=[["log_headers", "request"]]), POST),
    Case("headers/request/size", hostcalls(request_headers=[["log_headers_size", "request"]]), POST),
    Case("headers/request/remove", hostcalls(request_headers=[["remove_header", "request", "x-a"], ["remove_header", "request", "cookie"], ["log_headers", "request"]]), POST),
    Case("headers/request/set_all", hostcalls(request_headers=[["set_headers", "request", [
        [":method", "GET"], [":path", "/new"], [":authority", "new.example"], [":scheme", "http"], ["x-only", "1"]]],
        ["log_headers", "request"]]), {"headers": [("x-a", "1")]}),
    Case("headers/request/pseudo", hostcalls(request_headers=[
        *(["log_header", "request", name] for name in (":method", ":path", ":authority", ":scheme", "host", "HOST")),
        ["set_header", "request", ":path", "/other?x=1"], ["set_header", "request", ":method", "PUT"],
        ["set_header", "request", ":authority", "other.example:81"],
        *(["log_header", "request", name] for name in (":method", ":path", ":authority", "host"))]),
        {"headers": [("host", "Foo.Example:99")]}),
    Case("headers/request/path_with_escapes", hostcalls(request_headers=[["log_header", "request", ":path"]]), {"path": "/a%2Fb//c/../d?x=%20&y"}),
    Case("headers/request/bytes", hostcalls(request_headers=[["log_header", "request", "x-b"], ["set_header", "request", "x-c", {"hex": "e4f6"}]]), {"headers": [("x-b", "\xe4\xff")]}),
    *(
        Case(f"headers/request/unsendable/{name}", hostcalls(request_headers=[["set_header", "request", key, value]]), {})
        for name, key, value in (
            ("path", ":path", {"hex": "2f6101"}), ("path_delete", ":path", {"hex": "2f617f"}), ("method", ":method", {"hex": "4701"}),
            ("authority", ":authority", {"hex": "610a62"}), ("value", "x-a", {"hex": "610d0a62"}), ("value_nul", "x-a", {"hex": "6100"}),
            ("value_control", "x-a", {"hex": "611b62"}), ("name", "x a", "v"))
    ),
    Case("headers/request/tab", hostcalls(request_headers=[["set_header", "request", "x-a", {"hex": "610962"}]]), POST),
    Case("headers/response/unsendable", hostcalls(response_headers=[["set_header", "response", "x-up", {"hex": "610162"}]]), {}),
    Case("headers/response", hostcalls(response_headers=change("response")), {}, upstream=COOKIES),
    Case("headers/response/cookies", hostcalls(response_headers=[
        ["log_header", "response", "set-cookie"], ["add_header", "response", "set-cookie", "c=3"]]), {}, upstream=COOKIES),
    Case("headers/response/remove_cookies", hostcalls(response_headers=[["remove_header", "response", "set-cookie"]]), {}, upstream=COOKIES),
    Case("headers/response/status", hostcalls(response_headers=[
        ["log_header", "response", ":status"], ["set_header", "response", ":status", "203"], ["log_header", "response", ":status"]]),
        [{}, {"method": "HEAD"}]),
    Case("headers/response/no_content", hostcalls(response_headers=[["set_header", "response", ":status", "203"]]), {},
         upstream=[("send", b"HTTP/1.1 204 No Content\r\nserver: upstream\r\nx-up: 1\r\n\r\n")]),
    Case("headers/response/content_length", hostcalls(response_headers=[["remove_header", "response", "content-length"]]), {}),
    Case("headers/response/own", hostcalls(response_headers=[
        ["set_header", "response", "content-type", "text/x"], ["set_header", "response", "location", "/elsewhere"],
        ["set_header", "response", "etag", "\"x\""], ["set_header", "response", "last-modified", "Mon, 01 Jan 2024 00:00:00 GMT"],
        ["set_header", "response", "cache-control", "no-store"], ["add_header", "response", "vary", "x"]]), {}),
    Case("headers/response/copied", hostcalls(request_headers=[["copy_header", "request", "x-a", "request", "x-copy"]],
        response_headers=[["copy_header", "response", "x-up", "response", "x-copy"]]), POST),
    Case("headers/trailers_absent", hostcalls(**{callback: [
        ["log_headers", "request_trailers"], ["log_header", "response_trailers", "x"], ["add_header", "request_trailers", "x", "1"],
        ["log_headers", "call_response"], ["log_headers", "grpc_initial_metadata"], ["log_headers", 99], ["log_header", 99, "x"]]
        for callback in ("request_headers", "response_headers")}), {}),
    *(
        Case(f"headers/when/{map}", hostcalls(**{callback: [
            ["log_header", map, name], ["log", "info", callback],
            ["add_header", map, "x-late", callback]] for callback in EVERYWHERE}), POST, upstream=COOKIES)
        for map, name in (("request", "x-a"), ("response", "x-up"))
    ),
    Case("headers/chain", [
        hostcalls(request_headers=[["add_header", "request", "x-f", "0"]], response_headers=[["log_header", "response", "x-f"]]),
        hostcalls(request_headers=[["log_header", "request", "x-f"]], response_headers=[["add_header", "response", "x-f", "1"]])], {}),
    Case("headers/misuse", hostcalls(request_headers=[["status", name] for name in (
        "log:bad_level", "log:bad_pointer", "get_property:bad_pointer", "get_property:bad_return", "get_header_map_value:bad_pointer",
        "get_header_map_value:bad_return", "add_header_map_value:bad_pointer", "set_header_map_pairs:bad_pointer", "get_buffer_bytes:bad_type",
        "get_buffer_bytes:bad_return", "set_buffer_bytes:bad_type", "set_buffer_bytes:bad_pointer", "get_header_map_pairs:bad_type",
        "get_header_map_size:bad_type", "send_local_response:bad_pointer", "continue_stream:bad_type", "close_stream:bad_type",
        "set_effective_context:bad_id", "done", "get_log_level", "set_tick_period_milliseconds")]), {}),
]
