"""The cases: requests to the sample guests component_lab (wasi:http 0.2) and component_lab_p3 (0.3).

A path of theirs is for one thing that a component can do, or do wrong. `{up}` in a path is the upstream's port, `{dead}` one that nobody listens on.
"""

from dataclasses import dataclass, field

from upstream import answer, chunked

BOTH = ("p2", "p3")


@dataclass
class Case:
    """A request, and what the server that a guest calls does."""

    name: str
    path: str
    request: dict = field(default_factory=dict)
    upstream: list | None = None
    versions: tuple = BOTH


def requests():
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "FOO"):
        yield Case(f"method-{method}", "/request", {"method": method})
    targets = {
        "query": "?a=b&c=d", "query-empty": "?", "query-encoded": "?a=%20%2F%26", "query-marks": "?a=b?c=d",
        "query-slashes": "?/../x", "query-bytes": "?%ff%00", "query-long": "?" + "q" * 2000,
    }
    for name, query in targets.items():
        yield Case(f"target-{name}", "/request" + query)
    headers = {
        "repeated": [("x-a", "1"), ("x-b", "2"), ("x-a", "3")], "empty": [("x-a", "")], "upper": [("X-Upper-Case", "Value")],
        "large": [("x-large", "v" * 4000)], "many": [(f"x-{number}", str(number)) for number in range(50)],
        "cookies": [("cookie", "a=b"), ("cookie", "c=d")], "te": [("te", "trailers")],
        "connection": [("connection", "close, x-hop"), ("x-hop", "1")], "proxy": [("proxy-authorization", "Basic eDp5")],
        "bytes": [("x-bytes", "caf\xe9")], "forwarded": [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")],
        "host-port": [("host", "test.example:8080")], "host-address": [("host", "[2001:db8::1]:80")],
        "conditional": [("if-none-match", "*"), ("if-modified-since", "Mon, 01 Jan 2024 00:00:00 GMT")],
        "range": [("range", "bytes=0-3")], "accept-encoding": [("accept-encoding", "gzip, br")],
    }
    for name, fields in headers.items():
        yield Case(f"header-{name}", "/request", {"headers": fields})


def bodies():
    for length in (0, 1, 100, 4096, 65536, 1 << 20):
        yield Case(f"echo-{length}", "/echo", {"method": "POST", "body": b"e" * length})
    yield Case("echo-get", "/echo")
    yield Case("echo-head", "/echo", {"method": "HEAD"})
    yield Case("echo-chunks", "/echo", {"method": "POST", "chunks": [b"one", b"two", b"three"]})
    yield Case("echo-no-chunks", "/echo", {"method": "POST", "chunks": []})
    yield Case("echo-slow", "/echo", {"method": "POST", "chunks": [b"one", b"two"], "gap": 0.05})
    yield Case("echo-large-chunks", "/echo", {"method": "POST", "chunks": [b"c" * 100_000] * 4})
    yield Case("echo-trailers", "/echo", {"method": "POST", "chunks": [b"one"], "trailers": [("x-trailer", "t")], "headers": [("te", "trailers")]})
    yield Case("echo-put", "/echo", {"method": "PUT", "body": b"put"})
    yield Case("unread-small", "/request", {"method": "POST", "body": b"u" * 10})
    yield Case("unread-large", "/request", {"method": "POST", "body": b"u" * 300_000})
    yield Case("through", "/through", {"method": "POST", "body": b"t" * 70_000}, versions=("p3",))
    yield Case("through-chunks", "/through", {"method": "POST", "chunks": [b"one", b"two"]}, versions=("p3",))


def responses():
    for status in (200, 201, 202, 204, 205, 206, 301, 302, 304, 400, 401, 404, 418, 451, 499, 500, 503, 599, 600, 999, 0, 99, 100, 101, 199, 1000):
        yield Case(f"status-{status}", f"/status?{status}")
    for status in (200, 204, 304, 404):
        yield Case(f"status-head-{status}", f"/status?{status}", {"method": "HEAD"})
    yield Case("fields", "/fields")
    yield Case("trailers", "/trailers", {"headers": [("te", "trailers")]})
    yield Case("trailers-unasked", "/trailers")
    yield Case("no-body", "/no-body")
    yield Case("no-body-head", "/no-body", {"method": "HEAD"})
    for lengths in ("0,0", "5,5", "5,3", "5,8", "5,0", "0,3", "4096,4096"):
        yield Case(f"length-{lengths}", f"/length?{lengths}")
    yield Case("length-head", "/length?5,5", {"method": "HEAD"})
    yield Case("head-length", "/head-length")
    yield Case("head-length-head", "/head-length", {"method": "HEAD"})


def failures():
    for path in ("trap-early", "trap-late", "exit-early", "exit-late", "unfinished", "error"):
        yield Case(path, f"/{path}")
    for path in ("never",):
        yield Case(path, f"/{path}", versions=("p2",))
    yield Case("trap-early-post", "/trap-early", {"method": "POST", "body": b"x" * 1000})
    yield Case("trap-late-head", "/trap-late", {"method": "HEAD"})


def system():
    for path in ("args", "stdin", "print"):
        yield Case(path, f"/{path}")
    yield Case("sleep", "/sleep?20")
    yield Case("read", "/read?/etc/hostname")
    yield Case("write", "/write?/tmp/never")
    yield Case("list", "/list?/")
    yield Case("connect", "/connect?127.0.0.1:1")


def outgoing():
    url = "http://127.0.0.1:{up}"
    yield Case("proxy", f"/proxy?{url}/x")
    yield Case("proxy-query", f"/proxy?{url}/x?a=b%20c")
    yield Case("proxy-root", f"/proxy?{url}")
    for status in ("201 Created", "204 No Content", "304 Not Modified", "404 Not Found", "500 Internal Server Error", "299 Unknown"):
        body = b"" if status[:3] in ("204", "304") else b"body"
        yield Case(f"proxy-{status[:3]}", f"/proxy?{url}/x", upstream=[("send", answer(body, status))])
    yield Case("proxy-chunked", f"/proxy?{url}/x", upstream=chunked([b"one", b"two"], gap=0.02))
    yield Case("proxy-trailers", f"/proxy?{url}/x", upstream=chunked([b"one"], [("x-trailer", "t")], gap=0))
    yield Case("proxy-large", f"/proxy?{url}/x", upstream=[("send", answer(b"l" * 500_000))])
    yield Case("proxy-until-close", f"/proxy?{url}/x", upstream=[("send", b"HTTP/1.1 200 OK\r\n\r\nuntil closed"), ("close",)])
    yield Case("proxy-closed", f"/proxy?{url}/x", upstream=[("close",)])
    yield Case("proxy-reset", f"/proxy?{url}/x", upstream=[("reset",)])
    yield Case("proxy-garbage", f"/proxy?{url}/x", upstream=[("send", b"no HTTP at all\r\n\r\n"), ("close",)])
    yield Case("proxy-cut", f"/proxy?{url}/x", upstream=[("send", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour"), ("close",)], versions=("p2",))
    yield Case("proxy-cut-chunked", f"/proxy?{url}/x", upstream=[("send", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n"), ("close",)], versions=("p2",))
    yield Case("proxy-refused", "/proxy?http://127.0.0.1:{dead}/")
    yield Case("proxy-no-name", "/proxy?http://no-such-host.invalid/")
    yield Case("proxy-scheme", "/proxy?ftp://127.0.0.1/")
    for length in (0, 10, 200_000):
        yield Case(f"upload-{length}", f"/upload?{url}/up", {"method": "POST", "body": b"u" * length})
    yield Case("upload-refused", "/upload?http://127.0.0.1:{dead}/", {"method": "POST", "body": b"u"})
    yield Case("abandon", f"/abandon?{url}/x", versions=("p2",))


CASES = [case for group in (requests, bodies, responses, failures, system, outgoing) for case in group()]
