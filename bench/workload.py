"""The workloads: what a filter does, in each contender's words, and the answer that shows that it did."""

from dataclasses import dataclass, field

# What is asked for; the first is what every client sends.
HEADERS = {"User-Agent": "bench/1.0", "Accept": "*/*"}
HELLO = b"hello world"
# A text of 64 KiB, with the word that W3 replaces in each of its 1024 lines.
LINE = b"The quick brown fox jumps over the lazy dog, and sleeps by noon\n"
PAGE = LINE * 1024
FIND, REPLACE = "lazy dog", "idle cat"
UPSTREAM = "bench_upstream"
# What takes uploads, and the 1 MiB of each.
SINK = "bench_sink"
UPLOAD = LINE * 16384

FAULT = '{"body":"hello world","http_status":200}'


@dataclass(frozen=True)
class Workload:
    """`behind`: what answers when no filter does: hello, page, nothing (404), missing (404 in the content phase), or sink, to which an upload goes unbuffered. `filters`: pairs of guest and
    configuration. `lua`: directives of a location; None where Lua has no such thing. `phases`: callbacks in which each filter must have been
    called. `seen`: the filter sets the request header x-bench-request. `by_lua`: Lua's code runs the filter, too, in the access phase."""
    name: str
    title: str
    filters: tuple = ()
    behind: str = "hello"
    lua: str | None = None
    isolation: str = "worker"
    body: bytes = HELLO
    upload: bytes = b""
    headers: dict = field(default_factory=dict)
    phases: tuple = ("request_headers", "response_headers")
    seen: bool = False
    envoy: bool = True
    by_lua: bool = False

    @property
    def path(self):
        return "/page.txt" if self.behind == "page" else "/bench"

    @property
    def base(self):
        """The workload without a filter that it is compared with."""
        return {"page": "page", "sink": "upload"}.get(self.behind, "hello")


NONE = (
    Workload("hello", "no filter, `hello world`", lua="", phases=()),
    Workload("page", "no filter, a file of 64 KiB", behind="page", body=PAGE, lua="", phases=()),
    Workload("upload", "no filter, an upload of 1 MiB", behind="sink", upload=UPLOAD, phases=()),
)

LUA_NOOP = """\
rewrite_by_lua_block { }
header_filter_by_lua_block { }
body_filter_by_lua_block { }
log_by_lua_block { }"""
LUA_FAULT = "content_by_lua_block { require('bench').fault() }"
# As a plugin of APISIX's, in either language.
LUA_FAULT_ACCESS = "access_by_lua_block { require('bench').fault_and_exit() }"
LUA_HEADERS = """\
rewrite_by_lua_block { require('bench').request_headers() }
header_filter_by_lua_block { require('bench').response_headers() }"""
LUA_PASS = "body_filter_by_lua_block { }"
LUA_REWRITE = """\
header_filter_by_lua_block { ngx.header.content_length = nil }
body_filter_by_lua_block { require('bench').rewrite() }"""
LUA_CALL = "rewrite_by_lua_block { require('bench').call() }"

NOOP, HEADER = ("bench_noop", ""), ("bench_headers", "")
READ = {"x-bench-response": "all"}
LOCAL = {"behind": "nothing", "phases": ("request_headers",)}
BODY = ("request_headers", "response_headers", "response_body")
BOTH = ("request_headers", "request_body", "response_headers", "response_body")

FILTERED = (
    Workload("W0", "a filter that does nothing", (NOOP,), lua=LUA_NOOP),
    Workload("W1", "a local response, `hello world`", (("fault_injection", FAULT),), lua=LUA_FAULT, **LOCAL),
    Workload("W2", "three headers read, two set", (HEADER,), lua=LUA_HEADERS, headers=READ, seen=True),
    Workload("W3-pass", "a body of 64 KiB, unchanged", (NOOP,), "page", LUA_PASS, body=PAGE, phases=BODY),
    Workload("W3-rewrite", "a body of 64 KiB, rewritten",
             (("body_rewrite", f'{{"find":"{FIND}","replace":"{REPLACE}"}}'),), "page", LUA_REWRITE,
             body=PAGE.replace(FIND.encode(), REPLACE.encode()), phases=BODY),
    Workload("W4", "ten filters that do nothing", (NOOP,) * 10),
    Workload("W5", "W2 with `isolation=request`", (HEADER,), isolation="request", headers=READ, seen=True, envoy=False),
    Workload("W6", "a call to an upstream first", (("bench_call", ""),), lua=LUA_CALL,
             headers={"x-bench-call": "200"}),
    Workload("W7-go", "W1 in Go", (("fault_injection_go", FAULT),), **LOCAL),
    Workload("W7-as", "W1 in AssemblyScript", (("fault_injection_as", FAULT),), **LOCAL),
    Workload("W8", "an upload of 1 MiB, unbuffered, unchanged", (NOOP,), "sink", upload=UPLOAD, phases=BOTH),
    Workload("N0", "two callbacks that do nothing, without an SDK", (("bench_bare", ""),), envoy=False),
    Workload("A1", "W1 in the access phase", (("fault_injection", FAULT),), "missing", LUA_FAULT_ACCESS,
             phases=("request_headers",), envoy=False, by_lua=True),
    Workload("X1", "one header set, by an http-wasm guest", (("bench_http_wasm", ""),), phases=("handle_request", "handle_response"), seen=True,
             envoy=False),
)
WORKLOADS = {workload.name: workload for workload in NONE + FILTERED}
