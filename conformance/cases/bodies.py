"""Bodies: seen as they pass, held and changed."""

from case import Case
from ops import hostcalls
from upstream import chunked

POST = {"method": "POST", "path": "/p", "body": b"hello world"}
SLOW_POST = {"method": "POST", "path": "/p", "chunks": [b"one ", b"two ", b"three"], "gap": 0.1}
THREE = chunked([b"one ", b"two ", b"three"])
ALL = ["request", 0, -1]


def whole(stream, *ops):
    """Holds the body, and runs the operations when all is there."""
    phase = f"{stream}_body"
    return hostcalls(**{f"{stream}_headers": [["remove_header", stream, "content-length"]],
                        phase: [["action", "pause"]], f"{phase}_end": [*ops, ["action", "continue"]]})


CASES = [
    Case("body/request/seen", hostcalls(request_body=[["log_body", "request", 0, -1], ["log_body_status", "request"]]), POST),
    Case("body/request/slow", hostcalls(), SLOW_POST),
    Case("body/request/held", whole("request", ["log_body", "request", 0, -1], ["log_body", "request", 4, 3], ["log_body", "request", 99, 3]), SLOW_POST),
    Case("body/request/replaced", whole("request", ["set_body", "request", 0, -1, "a new and longer body"]), POST),
    Case("body/request/prepended", whole("request", ["set_body", "request", 0, 0, "before "], ["set_body", "request", 999, 0, " behind"]), POST),
    Case("body/request/emptied", whole("request", ["set_body", "request", 0, -1, ""]), POST),
    Case("body/request/large", whole("request", ["log_body_status", "request"]), {"method": "POST", "body": b"abcdefgh" * 20000}),
    Case("body/response/seen", hostcalls(response_body=[["log_body", "response", 0, -1]]), {}),
    Case("body/response/slow", hostcalls(response_body=[["log_body", "response", 0, -1], ["log_body_status", "response"]]), {}, upstream=THREE),
    Case("body/response/held", whole("response", ["log_body", "response", 0, -1], ["log_body", "response", 4, 3]), {}, upstream=THREE),
    Case("body/response/replaced", whole("response", ["set_body", "response", 0, -1, "new"]), {}, upstream=THREE),
    Case("body/response/emptied", whole("response", ["set_body", "response", 0, -1, ""]), {}),
    Case("body/response/pieces", hostcalls(response_headers=[["remove_header", "response", "content-length"]],
        response_body=[["set_body", "response", 0, 0, "<"], ["set_body", "response", 999, 0, ">"]]), {}, upstream=THREE, compare=("client",)),
    Case("body/response/large", whole("response", ["log_body_status", "response"]), {"method": "POST", "body": b"abcdefgh" * 20000}),
    Case("body/response/head", hostcalls(response_headers=[["log_header", "response", "content-length"]]), {"method": "HEAD"}),
    Case("body/response/no_content", hostcalls(), {}, upstream=[("send", b"HTTP/1.1 204 No Content\r\nserver: upstream\r\n\r\n")]),
    Case("body/response/empty", hostcalls(), {}, upstream=[("send", b"HTTP/1.1 200 OK\r\nserver: upstream\r\ncontent-length: 0\r\n\r\n")]),
    Case("body/response/until_close", hostcalls(), {}, upstream=[("send", b"HTTP/1.1 200 OK\r\nserver: upstream\r\n\r\nbody"), ("wait", 0.1), ("close",)]),
    Case("body/response/truncated", hostcalls(), {}, upstream=[("send", b"HTTP/1.1 200 OK\r\nserver: upstream\r\ncontent-length: 9\r\n\r\nbody"), ("wait", 0.1), ("close",)]),
    Case("body/response/truncated_held", whole("response"), {}, upstream=[("send", b"HTTP/1.1 200 OK\r\nserver: upstream\r\ncontent-length: 9\r\n\r\nbody"), ("wait", 0.1), ("close",)]),
    Case("body/chain", [whole("response", ["set_body", "response", 0, 0, "0"]), whole("response", ["set_body", "response", 0, 0, "1"])], {}, upstream=THREE, compare=("client", "up")),
    Case("body/not_there", hostcalls(request_headers=[["log_body", "request", 0, -1], ["set_body", "request", 0, -1, "x"], ["log_body", "response", 0, -1]],
        response_headers=[["log_body", "request", 0, -1], ["log_body", "response", 0, -1], ["set_body", "response", 0, -1, "x"], ["log_body_status", "response"]]), {}),
    Case("upstream/refused", hostcalls(), {}, upstream=[("reset",)]),
    Case("upstream/closed", hostcalls(), {}, upstream=[("close",)]),
    Case("upstream/malformed", hostcalls(), {}, upstream=[("send", b"HTTP/1.1 200 OK\r\nno colon\x01\r\n\r\n"), ("close",)]),
    Case("client/leaves", hostcalls(), {"leave": "up"}, upstream=[("over",), ("close",)], compare=("client", "log")),
]
