"""Plugins that answer requests (H1 to H3): nginx with this module beside servers that are written around a plugin, with Fiber
and Extism's Go SDK (peer/)."""

import os
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import client
import nginx
import process
import wrk
from failure import Failure
from proxy import PATIENCE, nginx_command
from workload import UPLOAD

HERE = os.path.dirname(os.path.abspath(__file__))
# What the calls of H3 wait for.
SLOW = "bench_slow"
DELAY_MS = 100
# Seconds of load before what is measured.
WARM = 2
PATH = "/bench"


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


@dataclass(frozen=True)
class Way:
    """`how` a peer shares plugins; None: nginx, whose location has `content`."""
    name: str
    title: str
    content: str = ""
    isolation: str = "worker"
    workers: int = 1
    how: str | None = None


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


class Server:
    """One way to do one work, in a process of its own."""

    def __init__(self, stage, work, way, slow):
        self.work, self.way, self.port = work, way, next(stage.ports)
        self.name = f"{way.name}-{work.name}"
        self.log = os.path.join(stage.work, f"{self.name}.log")
        if way.how:
            command = [stage.binaries["peer"], "-listen", f"127.0.0.1:{self.port}", "-how", way.how, "-function", work.function,
                       "-wasm", f"{stage.filters}/{work.guest}.wasm"]
            if work.calls:
                command += ["-config", f"url=http://127.0.0.1:{slow}/", "-host", "127.0.0.1"]
        else:
            stage.write(f"{self.name}.conf", configuration(stage, self.name, work, way, self.port, slow))
            command = nginx_command(stage, "nginx", self.name)
        with open(self.log, "a") as log:
            self.running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)

    def wait(self):
        last = time.monotonic() + PATIENCE
        while self.ask() is None:
            if self.running.poll() is not None or time.monotonic() > last:
                raise Failure(f"{self.name} does not answer; its log is {self.log}")
            time.sleep(0.02)
        self.pids = [self.running.pid] if self.way.how else process.children(self.running.pid)

    def ask(self):
        return client.ask(self.port, PATH, data=self.work.body, method="POST")

    def check(self):
        got = self.ask()
        if got is None or got.status != 200 or got.body != self.work.answer:
            raise Failure(f"{self.name}: {got and (got.status, got.body[:80])}, not {self.work.answer[:80]!r}")

    def cpu(self):
        return sum(map(process.cpu, self.pids))

    def memory(self):
        """Private memory, and what of it guests have, in KiB, of all its processes."""
        private = sum(process.memory(pid)["private"] for pid in self.pids)
        return private, 0 if self.way.how else sum(map(process.guests, self.pids))

    def stop(self):
        self.running.terminate()
        self.running.wait()


class Halfway(threading.Thread):
    """Looks at a server's memory amid a load."""

    def __init__(self, server, after):
        super().__init__()
        self.server, self.after, self.found = server, after, (0, 0)

    def run(self):
        time.sleep(self.after)
        self.found = self.server.memory()


def sample(server, stage, seconds, bare):
    """`bare`: its private memory before any load, in KiB."""
    before, begin = server.cpu(), time.monotonic()
    look = Halfway(server, seconds / 2)
    look.start()
    load = wrk.run(f"http://127.0.0.1:{server.port}{PATH}", stage.load_cpu, seconds, server.work.connections, server.work.body, "POST", PATIENCE)
    used, passed = server.cpu() - before, time.monotonic() - begin
    look.join()
    private, guests = look.found
    return {"rps": round(load.requests / load.seconds, 1), "cpu_us": round(used / 1e3 / load.requests, 4), "p50_us": load.p50,
            "p99_us": load.p99, "busy": round(used / 1e9 / passed, 3), "private_kib": private, "more_kib": private - bare, "guests_kib": guests}


def run(stage, options, works):
    """Samples of each work in each way, by "way/work"; processes are started anew every `restart` rounds. All of them have all
    processors; wrk has one thread."""
    slow = next(stage.ports)
    slow_server = subprocess.Popen([sys.executable, "-B", os.path.join(HERE, "slow.py"), str(slow), str(DELAY_MS)])
    every = [(work, WAYS[name]) for work in works for name in work.ways]
    samples = {f"{way.name}/{work.name}": [] for work, way in every}
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count()))
    try:
        for number in range(options.rounds):
            for work, way in reversed(every) if number % 2 else every:
                # One at a time: a Go server is not idle when it has nothing to do.
                server = Server(stage, work, way, slow)
                try:
                    server.wait()
                    server.check()
                    bare, _ = server.memory()
                    # Instances are there, and what Go compiles.
                    wrk.run(f"http://127.0.0.1:{server.port}{PATH}", stage.load_cpu, WARM * work.longer, server.work.connections, server.work.body, "POST", PATIENCE)
                    samples[f"{way.name}/{work.name}"].append(sample(server, stage, options.time * work.longer, bare))
                    server.check()
                finally:
                    server.stop()
            print(f"bench: plugins, round {number + 1} of {options.rounds}", flush=True)
    finally:
        os.sched_setaffinity(0, processors)
        slow_server.terminate()
        slow_server.wait()
    return samples


def median(samples, name, measure="cpu_us"):
    found = samples.get(name)
    return statistics.median(one[measure] for one in found) if found else None
