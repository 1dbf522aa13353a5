"""Components that answer requests (C1 to C5): nginx with this module beside `wasmtime serve` of the same file."""

import os
from dataclasses import dataclass

import nginx
import service
from proxy import nginx_command
from service import DELAY_MS, SLOW
from workload import UPLOAD


@dataclass(frozen=True)
class Work:
    """`guest`: a sample, or the one in JavaScript, that is asked with `body` and answers `answer`. `ways`: by whom."""
    name: str
    title: str
    guest: str
    body: bytes
    answer: bytes
    connections: int
    ways: tuple
    path: str = service.PATH
    # Times as long as others.
    longer: int = 1


@dataclass(frozen=True)
class Way:
    """`serve`: what `wasmtime serve` is told; None: nginx, with this `isolation`."""
    name: str
    title: str
    isolation: str = "request"
    serve: tuple | None = None

    @property
    def suffix(self):
        """Of its log's name. That of `wasmtime serve` is its guests' as well, who complain of clients that leave at the end of a load: so
        it is none that must be empty."""
        return "log" if self.serve is None else "out"


WAYS = {way.name: way for way in (
    Way("component", "nginx, this module"),
    Way("component-worker", "the same, `isolation=worker`", isolation="worker"),
    Way("serve", "`wasmtime serve`", serve=()),
    Way("serve-fresh", "the same, an instance for each request", serve=("--max-instance-reuse-count", "1")),
    Way("serve-reuse", "the same, instances used 1,000 times", serve=("--max-instance-reuse-count", "1000")),
)}
GREETED = (b"John Doe", b'{"message":"Hello John Doe"}')
JAVASCRIPT = "javascript"
# `wasmtime serve` of 0.2 makes an instance for each request by itself; of 0.3, one serves 128, 16 at a time.
WORKS = (
    Work("C1", "8 bytes in, a greeting out, `wasi:http` 0.2 in Rust", "component_hello", *GREETED, 100, ("component", "component-worker", "serve", "serve-reuse")),
    Work("C2", "the same, `wasi:http` 0.3", "component_hello_p3", *GREETED, 100, ("component", "component-worker", "serve", "serve-fresh")),
    # An instance of it answers one request, and fails at the next: `isolation=worker` is not for it.
    Work("C3", "the same, `wasi:http` 0.2 in JavaScript", JAVASCRIPT, *GREETED, 100, ("component", "serve"), longer=5),
    Work("C4", "an echo of 1 MiB, streamed, `wasi:http` 0.2 in Rust", "component_lab", UPLOAD, UPLOAD, 8, ("component", "serve"), path="/echo", longer=5),
    Work("C5", f"a request to a server that takes {DELAY_MS} ms, `wasi:http` 0.2 in Rust", "component_lab", b"", b"200: slow", 1000, ("component", "serve"),
         path="/proxy?http://{slow}/", longer=5),
)


def chosen(only):
    """All of them, or those whose names begin so."""
    return [work for work in WORKS if not only or any(map(work.name.startswith, only))]


def guest(stage, work):
    return stage.binaries["javascript"] if work.guest == JAVASCRIPT else os.path.join(stage.filters, f"{work.guest}.wasm")


def configuration(stage, server, slow):
    text = nginx.head(stage, server.name, stage.load["module"]).replace("worker_connections 2048", "worker_connections 8192")
    return f"""{text}
    wasm_cache {stage.work}/cache;
    wasm_call_connections 4000;
    wasm_module {server.work.name} {guest(stage, server.work)} isolation={server.way.isolation} instances=2000 cpu_time=10s;
    upstream {SLOW} {{ server 127.0.0.1:{slow}; keepalive 2000; keepalive_requests 1000000000; }}
    server {{ listen 127.0.0.1:{server.port} backlog=2048; location / {{ wasm_handler {server.work.name}; }} }}
}}
"""


def command(stage, server, slow):
    """What starts a server for one work in one way, and whether its processes are nginx's workers."""
    if server.way.serve is None:
        stage.write(f"{server.name}.conf", configuration(stage, server, slow))
        return nginx_command(stage, "nginx", server.name), True
    # As many instances as nginx may have; guests of Rust's standard library import more than HTTP.
    pool = [f"-Opooling-total-{what}=4000" for what in ("component-instances", "core-instances", "memories", "tables", "stacks")]
    return [stage.binaries["wasmtime"], "serve", "-Scli", *pool, *server.way.serve, "--addr", f"127.0.0.1:{server.port}", guest(stage, server.work)], False


def run(stage, options, works):
    return service.run(stage, options, [(work, WAYS[name]) for work in works for name in work.ways], command)
