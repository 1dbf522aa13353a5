"""Plugins that answer requests (H1 to H3): nginx with this module beside servers that are written around a plugin, with Fiber
and Extism's Go SDK (peer/)."""

import statistics
from dataclasses import dataclass

import nginx
import service
from proxy import nginx_command
from service import DELAY_MS, SLOW
from workload import UPLOAD


@dataclass(frozen=True)
class Work:
    """`guest`, `function`: what is called with `body` and answers `answer`. `calls`: it asks the slow server first. `ways`: by whom."""
    name: str
    title: str
    guest: str
    function: str
    body: bytes
    answer: bytes
    connections: int
    ways: tuple
    calls: bool = False
    # Times as long as others.
    longer: int = 1
    path: str = service.PATH


@dataclass(frozen=True)
class Way:
    """`how` a peer shares plugins; None: nginx, whose location has `content`."""
    name: str
    title: str
    content: str = ""
    isolation: str = "worker"
    workers: int = 1
    how: str | None = None
    # Of its log's name.
    suffix: str = "log"


HANDLER = "wasm_handler {work} function={function};"
WAYS = {way.name: way for way in (
    Way("return", "nginx, `return 200`", "return 200 '{answer}';"),
    Way("plugin", "nginx, this module", HANDLER),
    Way("plugin-request", "the same, `isolation=request`", HANDLER, isolation="request"),
    Way("plugin-2", "nginx, this module, two workers", HANDLER, workers=2),
    Way("plugin-request-2", "the same, `isolation=request`", HANDLER, isolation="request", workers=2),
    Way("mutex", "Fiber, one plugin and a mutex", how="mutex"),
    Way("channel", "Fiber, a plugin for each processor", how="channel"),
    Way("pool", "Fiber, plugins in a `sync.Pool`", how="pool"),
)}
NGINX = ("plugin", "plugin-request", "plugin-2", "plugin-request-2")
WORKS = (
    Work("H1", "8 bytes in, a greeting out", "extism_hello", "hello", b"John Doe",
         '{"message":"🦀 Hello John Doe"}'.encode(), 100, ("return", *NGINX, "mutex", "channel", "pool")),
    Work("H2", "1 MiB in and out", "extism_test", "echo", UPLOAD, UPLOAD, 8, ("plugin", "plugin-request", "plugin-2", "mutex", "channel", "pool"), longer=5),
    Work("H3", f"a request to a server that takes {DELAY_MS} ms", "extism_call_out", "call_out", b"", b'{"status":200,"body":"slow"}',
         1000, ("plugin", "plugin-2"), calls=True),
)


def chosen(only):
    """All of them, or those whose names begin so."""
    return [work for work in WORKS if not only or any(map(work.name.startswith, only))]


def configuration(stage, name, work, way, port, slow):
    """A server for one work and way."""
    text = nginx.head(stage, name, stage.load["module"], way.workers)
    text = text.replace("worker_connections 2048", "worker_connections 8192")
    options = [f"isolation={way.isolation}", "instances=2000", "cpu_time=10s"]
    if work.calls:
        options += [f"allowed_hosts={SLOW}", f"config=url:http://{SLOW}/"]
    content = way.content.format(work=work.name, function=work.function, answer=work.answer.decode() if not work.calls else "")
    listen = f"127.0.0.1:{port} backlog=2048" + (" reuseport" if way.workers > 1 else "")
    return f"""{text}
    wasm_cache {stage.work}/cache;
    wasm_call_connections 4000;
    client_body_buffer_size 2m;
    wasm_module {work.name} {stage.filters}/{work.guest}.wasm {" ".join(options)};
    upstream {SLOW} {{ server 127.0.0.1:{slow}; keepalive 2000; keepalive_requests 1000000000; }}
    server {{ listen {listen}; location / {{ {content} }} }}
}}
"""


def command(stage, server, slow):
    """What starts a server for one work in one way, and whether its processes are nginx's workers."""
    work, way = server.work, server.way
    if not way.how:
        stage.write(f"{server.name}.conf", configuration(stage, server.name, work, way, server.port, slow))
        return nginx_command(stage, "nginx", server.name), True
    peer = [stage.binaries["peer"], "-listen", f"127.0.0.1:{server.port}", "-how", way.how, "-function", work.function,
            "-wasm", f"{stage.filters}/{work.guest}.wasm"]
    if work.calls:
        peer += ["-config", f"url=http://127.0.0.1:{slow}/", "-host", "127.0.0.1"]
    return peer, False


def run(stage, options, works):
    return service.run(stage, options, [(work, WAYS[name]) for work in works for name in work.ways], command)


def median(samples, name, measure="cpu_us"):
    found = samples.get(name)
    return statistics.median(one[measure] for one in found) if found else None
