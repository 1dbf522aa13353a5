"""The sample guests, each with what it is for."""

import json

from case import Case, Filter
from upstream import answer, chunked

FAULT = json.dumps({"body": "hello world", "http_status": 503})
CHANGES = json.dumps({
    "request": {"remove": ["x-gone"], "set": {"x-set": "new"}, "add": {"x-add": ["one", "two"]}},
    "response": {"remove": ["x-up"], "set": {"x-set": "r"}, "add": {"set-cookie": ["c=3"]}},
})
LINES = "request remove x-gone\nrequest set x-set new\nrequest add x-add one\nresponse remove x-up\nresponse add set-cookie c=3\n"
ASK = {"path": "/a?b=c", "headers": [("x-gone", "1"), ("x-set", "old"), ("x-add", "zero")]}
COOKIES = [("send", answer(b"body", headers=[("x-up", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]))]
SECRET = [("send", answer(b"a secret text, secret\n"))]

CASES = [
    *(
        Case(f"sample/{guest}", Filter(guest, FAULT), [{"path": "/x"}, {"method": "POST", "body": b"hello"}])
        for guest in ("fault_injection", "fault_injection_go", "fault_injection_as")
    ),
    Case("sample/fault_injection/none", Filter("fault_injection", json.dumps({"http_status": 200, "percentage": 0})), {}),
    *(
        Case(f"sample/{guest}", Filter(guest, CHANGES), ASK, upstream=COOKIES)
        for guest in ("headers", "headers_go")
    ),
    *(
        Case(f"sample/{guest}", Filter(guest, LINES), ASK, upstream=COOKIES, compare=("client", "up"))
        for guest in ("headers_cpp", "headers_as")
    ),
    Case("sample/body_rewrite", Filter("body_rewrite", '{"find":"secret","replace":"open"}'), {}, upstream=SECRET),
    Case("sample/body_rewrite/chunked", Filter("body_rewrite", '{"find":"secret","replace":"open"}'), {},
         upstream=chunked([b"one sec", b"ret two"])),
    Case("sample/body_rewrite/encoded", Filter("body_rewrite", '{"find":"secret","replace":"open"}'), {},
         upstream=[("send", answer(b"a secret", headers=[("content-encoding", "gzip")]))]),
    Case("sample/body_stream", Filter("body_stream", '{"direction":"both"}'),
         {"method": "POST", "chunks": [b"one ", b"two ", b"three"], "gap": 0.05}, upstream=chunked([b"abc ", b"def"])),
    Case("sample/http_headers", Filter("http_headers"), [{"path": "/x"}, {"path": "/hello"}], upstream=COOKIES, order="sorted"),
    Case("sample/http_body", Filter("http_body"), [{}, {}], upstream=SECRET),
    Case("sample/http_config", Filter("http_config", "a value"), {}),
    Case("sample/trace_cpp", Filter("trace_cpp", "x"), [{"method": "POST", "body": b"hello"}, {"path": "/2"}],
         upstream=chunked([b"one", b"two"], trailers=[("x-t", "1")])),
    Case("sample/abi_0_1_0", Filter("abi_0_1_0", "text"), [{"path": "/x"}, {"path": "/continue"}]),
    Case("sample/chain", [Filter("headers", CHANGES), Filter("body_stream"), Filter("http_config", "v")], ASK),
    Case("sample/chain/answered_in_the_middle", [Filter("headers", CHANGES), Filter("fault_injection", FAULT), Filter("http_config", "v")], ASK),
]
