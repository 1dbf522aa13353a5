"""Pausing in each callback, and what resumes."""

from case import Case
from ops import LOCAL, PAUSE, hostcalls, http_call, pause_for_call
from upstream import answer, chunked

SIDE = [("wait", 0.4), ("send", answer(b"side", headers=[("x-side", "1")]))]
POST = {"method": "POST", "path": "/p", "body": b"hello"}
CHUNKS = {"method": "POST", "path": "/p", "chunks": [b"one ", b"two ", b"three"], "gap": 0.02}
LATE = {**CHUNKS, "gap": 0.5}
PARTS = chunked([b"one ", b"two ", b"three"], gap=0.02)
LATE_PARTS = chunked([b"one ", b"two ", b"three"], gap=0.5)
TRAILERS = chunked([b"one ", b"two "], trailers=[("x-t", "1")], gap=0.02)
SIDE_OPS = [["log_header", "call_response", "x-side"], ["log_body", "call_response", 0, -1]]
NEW_BODY = lambda stream: [["log_body", stream, 0, -1], ["set_body", stream, 0, -1, "a new body"]]
NO_LENGTH = [["remove_header", "response", "content-length"]]


def tick(stream, *ops):
    """Resumes the first request's stream from a tick."""
    return [["set_tick", 0], ["effective_context", 2], *ops, ["continue", stream]]


CASES = [
    Case("pause/request_headers/call", pause_for_call("request_headers", "request", *SIDE_OPS, ["add_header", "request", "x-late", "1"]), {}, side=SIDE),
    Case("pause/request_headers/with_body", pause_for_call("request_headers", "request", ["log_body", "request", 0, -1]), POST, side=SIDE),
    Case("pause/request_headers/with_chunks", pause_for_call("request_headers", "request"), CHUNKS, side=SIDE),
    Case("pause/request_headers/with_late_chunks", pause_for_call("request_headers", "request"), LATE, side=SIDE),
    Case("pause/request_headers/tick", hostcalls(request_headers=[["set_tick", 100], PAUSE], tick=tick("request", ["set_header", "request", "x-tick", "1"])), POST),
    Case("pause/request_headers/two_filters", [pause_for_call("request_headers", "request"), pause_for_call("request_headers", "request")], CHUNKS, side=SIDE),
    Case("pause/request_headers/local", hostcalls(request_headers=[http_call(), PAUSE], http_call_response=[LOCAL]), POST, side=SIDE),
    Case("pause/request_headers/local_and_continue", hostcalls(request_headers=[http_call(), PAUSE], http_call_response=[LOCAL, ["continue", "request"]]), {}, side=SIDE),
    Case("pause/request_headers/continue_and_local", hostcalls(request_headers=[http_call(), PAUSE], http_call_response=[["continue", "request"], LOCAL]), {}, side=SIDE),
    Case("pause/request_headers/close", hostcalls(request_headers=[http_call(), PAUSE], http_call_response=[["close", "request"]]), {}, side=SIDE),
    Case("pause/request_headers/continue_at_once", hostcalls(request_headers=[["continue", "request"], PAUSE]), {}),
    Case("pause/request_body/call", pause_for_call("request_body", "request", *NEW_BODY("request"), condition="if_end_of_stream"), CHUNKS, side=SIDE),
    Case("pause/request_body/local", hostcalls(request_body=[PAUSE, ["if_end_of_stream", [http_call()]]], http_call_response=[LOCAL]), POST, side=SIDE, compare=("client", "log")),
    Case("pause/request_body/two_filters", [pause_for_call("request_body", "request", condition="if_end_of_stream")] * 2, CHUNKS, side=SIDE),
    Case("pause/response_headers/call", pause_for_call("response_headers", "response", *SIDE_OPS, ["add_header", "response", "x-late", "1"], ["log_header", "response", "x-up"]), {}, side=SIDE),
    Case("pause/response_headers/with_chunks", pause_for_call("response_headers", "response", ["log_body", "response", 0, -1]), {}, side=SIDE, upstream=PARTS),
    Case("pause/response_headers/with_late_chunks", pause_for_call("response_headers", "response"), {}, side=SIDE, upstream=LATE_PARTS),
    Case("pause/response_headers/with_trailers", pause_for_call("response_headers", "response"), {}, side=SIDE, upstream=TRAILERS),
    Case("pause/response_headers/tick", hostcalls(response_headers=[["set_tick", 100], PAUSE], tick=tick("response", ["set_header", "response", "x-tick", "1"])), {}),
    Case("pause/response_headers/two_filters", [pause_for_call("response_headers", "response"), pause_for_call("response_headers", "response")], {}, side=SIDE),
    Case("pause/response_headers/local", hostcalls(response_headers=[http_call(), PAUSE], http_call_response=[LOCAL]), {}, side=SIDE),
    Case("pause/response_headers/local_first_filter", [hostcalls(response_headers=[http_call(), PAUSE], http_call_response=[LOCAL]), hostcalls()], {}, side=SIDE),
    Case("pause/response_headers/local_second_filter", [hostcalls(), hostcalls(response_headers=[http_call(), PAUSE], http_call_response=[LOCAL])], {}, side=SIDE),
    Case("pause/response_headers/close", hostcalls(response_headers=[http_call(), PAUSE], http_call_response=[["close", "response"]]), {}, side=SIDE),
    Case("pause/response_headers/head", pause_for_call("response_headers", "response"), {"method": "HEAD"}, side=SIDE),
    Case("pause/response_body/call", pause_for_call("response_body", "response", *NEW_BODY("response"), condition="if_end_of_stream", response_headers=NO_LENGTH), {}, side=SIDE, upstream=PARTS),
    Case("pause/response_body/local", hostcalls(response_body=[PAUSE, ["if_end_of_stream", [http_call()]]], http_call_response=[LOCAL]), {}, side=SIDE),
    Case("pause/response_body/two_filters", [pause_for_call("response_body", "response", condition="if_end_of_stream")] * 2, {}, side=SIDE, upstream=PARTS),
    Case("pause/everywhere", [hostcalls(**{phase: [http_call(phase), PAUSE] for phase in ("request_headers", "response_headers")},
         request_body=[PAUSE, ["if_end_of_stream", [http_call("request_body")]]], response_body=[PAUSE, ["if_end_of_stream", [http_call("response_body")]]],
         **{f"http_call_response:{phase}": [["continue", phase.split("_")[0]]] for phase in ("request_headers", "request_body", "response_headers", "response_body")})] * 2,
         POST, side=[("wait", 0.1), ("send", answer(b"side"))], order="sorted"),
    *(
        Case(f"close/{stream}/{phase}", hostcalls(**{phase: [["close", stream]]}), POST)
        for stream in ("request", "response") for phase in ("request_headers", "request_body", "response_headers", "response_body")
    ),
    Case("close/downstream", hostcalls(request_headers=[["close", "downstream"], ["close", "upstream"], ["continue", "downstream"]]), {}),
    Case("local/request_headers", hostcalls(request_headers=[LOCAL]), POST),
    Case("local/request_headers/twice", hostcalls(request_headers=[LOCAL, ["local_response", 419, [], "second"]]), {}),
    Case("local/request_headers/nothing", hostcalls(request_headers=[["local_response", 204, [], ""]]), {}),
    Case("local/request_headers/own_headers", hostcalls(request_headers=[["local_response", 200, [["content-type", "text/x"], ["content-length", "99"], ["set-cookie", "a=1"], ["set-cookie", "b=2"]], "body"]]), [{}, {"method": "HEAD"}]),
    Case("local/request_headers/grpc_status", hostcalls(request_headers=[["local_response", 200, [], "message", 7]]), [{}, {"method": "POST", "headers": [("content-type", "application/grpc")]}]),
    Case("local/request_headers/in_chain", [hostcalls(), hostcalls(request_headers=[LOCAL], response_headers=[["add_header", "response", "x-f1", "1"]]), hostcalls()], POST),
    Case("local/request_headers/changed", hostcalls(request_headers=[LOCAL], response_headers=[["set_header", "response", ":status", "200"], ["remove_header", "response", "content-length"]],
        response_body=[["log_body", "response", 0, -1], ["set_body", "response", 0, -1, "changed"]]), {}),
    Case("local/request_body", hostcalls(request_body=[["if_end_of_stream", [LOCAL]]]), POST, compare=("client", "log")),
    Case("local/response_headers", hostcalls(response_headers=[LOCAL]), {}),
    Case("local/response_headers/in_chain", [hostcalls(), hostcalls(response_headers=[LOCAL])], {}),
    Case("local/response_body", hostcalls(response_body=[LOCAL]), {}, upstream=PARTS),
    Case("local/configure", hostcalls(configure=[LOCAL]), {}),
    Case("local/tick", hostcalls(request_headers=[["set_tick", 100], PAUSE], tick=[["set_tick", 0], ["effective_context", 2], LOCAL]), {}),
    Case("local/no_pause", hostcalls(request_headers=[http_call()], http_call_response=[LOCAL]), {}, side=SIDE, upstream=[("wait", 0.9), ("send", answer(b"late"))], compare=("client", "log")),
    Case("trailers/response", hostcalls(response_trailers=[["log_headers", "response_trailers"], ["add_header", "response_trailers", "x-more", "2"], ["set_header", "response_trailers", "x-t", "3"], ["log_header", "response", "x-up"]]), {}, upstream=TRAILERS),
    Case("trailers/response/removed", hostcalls(response_trailers=[["remove_header", "response_trailers", "x-t"]]), {}, upstream=TRAILERS),
    Case("trailers/response/paused", pause_for_call("response_trailers", "response", ["log_headers", "response_trailers"], ["add_header", "response_trailers", "x-more", "2"]), {}, side=SIDE, upstream=TRAILERS),
    Case("trailers/response/held_body", hostcalls(response_body=[PAUSE], response_trailers=NEW_BODY("response")), {}, upstream=TRAILERS),
    Case("trailers/request", hostcalls(request_trailers=[["log_headers", "request_trailers"], ["add_header", "request_trailers", "x-more", "2"]]), {**CHUNKS, "trailers": [("x-t", "1")]}),
    Case("trailers/request/paused", pause_for_call("request_trailers", "request", ["add_header", "request_trailers", "x-more", "2"]), {**CHUNKS, "trailers": [("x-t", "1")]}, side=SIDE),
]
