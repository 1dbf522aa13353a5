"""HTTP requests of plugins."""

import json

from case import extism
from upstream import answer

LOOPBACK = {"allowed_hosts": ["127.0.0.1"]}
LARGE = [("send", answer(b"x" * 5000))]


def ask(path="/", **more):
    return "http_request", json.dumps({"url": "http://127.0.0.1:{up}" + path, **more})


def test(name, *calls, manifest=LOOPBACK, **more):
    return extism(f"http/{name}", "extism_test", *calls, manifest=manifest, **more)


CASES = [
    test("get", ask("/a?b=c"), "http_status_before"),
    test("post", ask("/", method="POST", body="the body", headers={"x-one": "1", "Content-Type": "text/x"})),
    test("body_of_get", ask("/", body="sent")),
    test("methods", *(ask("/", method=method) for method in ("PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "post", "", "NO GOOD"))),
    test("headers/own", ask("/", headers={"Host": "other.example", "User-Agent": "mine", "X-Empty": ""})),
    test("headers/of_the_answer", ask("/"), upstream=[("send", answer(b"x", headers=[("X-One", "1"), ("x-two", "a"), ("x-two", "b")]))], http_headers=True),
    test("headers/bad", ask("/", headers={"x bad": "1"}), ask("/", headers={"x-bad": "a\r\nb: c"})),
    test("status", ask("/"), upstream=[("send", answer(b"no", status="404 Not Found"))]),
    test("status/500", ask("/"), upstream=[("send", answer(b"", status="500 Oops"))]),
    test("empty", ask("/"), upstream=[("send", answer(b""))]),
    test("large", ask("/"), upstream=LARGE),
    test("too_large", ask("/"), upstream=LARGE, manifest={**LOOPBACK, "memory": {"max_http_response_bytes": 4999}}),
    test("just_large", ask("/"), upstream=LARGE, manifest={**LOOPBACK, "memory": {"max_http_response_bytes": 5000}}),
    test("redirect", ask("/"), upstream=[("send", answer(b"there", status="302 Found", headers=[("location", "http://nobody.example/")]))]),
    test("closed", ask("/"), upstream=[("close",)]),
    test("refused", ("http_request", json.dumps({"url": "http://127.0.0.1:{dead}/"}))),
    test("url", *(("http_request", json.dumps({"url": url})) for url in ("", "nonsense", "ftp://127.0.0.1/", "http://", "http://127.0.0.1:99999/"))),
    test("raw", ("http_raw", "{"), ("http_raw", "{}"), ("http_raw", '{"url":"http://127.0.0.1:{up}/","nonsense":1}'), ("http_raw", b"\xff")),
    test("denied/absent", ask(), manifest={}),
    test("denied/none", ask(), manifest={"allowed_hosts": []}),
    test("denied/other", ask(), manifest={"allowed_hosts": ["other.example"]}),
    test("denied/with_port", ask(), manifest={"allowed_hosts": ["127.0.0.1:80"]}),
    test("allowed/glob", ask(), manifest={"allowed_hosts": ["127.*"]}),
    test("allowed/all", ask(), manifest={"allowed_hosts": ["*"]}),
    test("timeout", ask(), "count", upstream=[("hold",)], manifest={**LOOPBACK, "timeout_ms": 300}),
    extism("http/call_out", "extism_call_out", ("call_out", "a=1"), ("call_out", ""), config={"url": "http://127.0.0.1:{up}/x"}, manifest=LOOPBACK),
    extism("http/call_out/not_configured", "extism_call_out", ("call_out", "a=1"), manifest=LOOPBACK),
]
