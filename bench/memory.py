"""What workers take of memory, by the number of filter configurations; and that a reload compiles nothing."""

import os
import re
import signal
import subprocess
import time

import client
import nginx
import process
from failure import Failure
from proxy import nginx_command

GUEST = "http_config"
# Of one module; None is nginx without this module, 0 with it and without a guest.
CONFIGURATIONS = (None, 0, 1, 10, 100)
WORKERS = (1, 4)
# Answers that each location of each worker has given before.
ANSWERS = 5
PATIENCE = 240


def run(stage):
    """Rows of `configurations`, `workers`, `cache` (whether the guest is in wasm_cache, or compiled at the start), and the median
    worker's `rss`, `pss` and `private` in KiB."""
    kinds = [(configurations, True) for configurations in CONFIGURATIONS] + [(1, False)]
    with Server(stage, 1, 1) as server:
        # So that it is in wasm_cache.
        server.use()
    rows = [measure(stage, configurations, workers, cache) for workers in WORKERS for configurations, cache in kinds]
    print("bench: memory is measured", flush=True)
    return rows


class Server:
    """Locations /0, /1 …, each with its own configuration of the guest, and the worker that answers in x-worker."""

    def __init__(self, stage, configurations, workers, cache=True, metrics=False):
        self.port = next(stage.ports)
        self.count = configurations or 1
        self.filtered = bool(configurations)
        lines = [nginx.head(stage, "memory", [] if configurations is None else stage.load["module"], workers)]
        if self.filtered:
            lines.append(f"    wasm_cache {stage.work}/cache;" if cache else "    wasm_cache off;")
            lines.append(f"    wasm_module one {stage.filters}/{GUEST}.wasm;")
        # With a socket for each worker, connections are spread over them.
        lines.append(f"    server {{ listen 127.0.0.1:{self.port} reuseport; add_header x-worker $pid;")
        for number in range(self.count):
            filters = f"wasm_filter one value-{number}; " if self.filtered else ""
            lines.append(f'        location = /{number} {{ {filters}return 200 "hello world"; }}')
        lines += ["        location /metrics { wasm_metrics; }"] if metrics else []
        stage.write("memory.conf", "\n".join([*lines, "    }", "}"]))
        command = ["taskset", "-c", str(stage.cpu), *nginx_command(stage, "nginx", "memory")]
        self.running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self.workers = workers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.running.terminate()
        self.running.wait()

    def pids(self):
        return process.children(self.running.pid)

    def ask(self, number):
        """The worker that has answered; None where nobody listens yet."""
        got = client.ask(self.port, f"/{number}")
        if got is None:
            return None
        expected = f"value-{number}" if self.filtered else None
        if got.status != 200 or got.headers.get("custom-header") != expected:
            raise Failure(f"memory: status {got.status}, custom-header {got.headers.get('custom-header')}, not {expected}")
        return int(got.headers["x-worker"])

    def use(self):
        """Until each worker has given ANSWERS in each location."""
        last = time.monotonic() + PATIENCE
        for number in range(self.count):
            answers = {}
            while len(answers) < self.workers or min(answers.values()) < ANSWERS:
                if self.running.poll() is not None or time.monotonic() > last:
                    raise Failure(f"memory: {len(answers)} of {self.workers} workers answer; see memory.log")
                if worker := self.ask(number):
                    answers[worker] = answers.get(worker, 0) + 1


def measure(stage, configurations, workers, cache):
    with Server(stage, configurations, workers, cache) as server:
        server.use()
        sizes = [process.memory(pid) for pid in server.pids()]
    middle = {name: sorted(size[name] for size in sizes)[len(sizes) // 2] for name in sizes[0]}
    return {"configurations": configurations, "workers": workers, "cache": cache, **middle}


MISSES = re.compile(r"^nginx_wasm_compile_cache_misses_total (\d+)", re.MULTILINE)


def reload(stage):
    """How many modules nginx compiles when it is reloaded with the same configuration, without and with wasm_cache."""
    return {name: reloaded(stage, cache) for name, cache in (("without wasm_cache", False), ("with wasm_cache", True))}


def reloaded(stage, cache):
    with Server(stage, 1, 1, cache, metrics=True) as server:
        server.use()
        before, old = misses(server), server.pids()
        os.kill(server.running.pid, signal.SIGHUP)
        last = time.monotonic() + PATIENCE
        while set(old) & set(server.pids()) or not server.pids():
            if time.monotonic() > last:
                raise Failure("reload: the old worker does not end")
            time.sleep(0.02)
        server.use()
        return misses(server) - before


def misses(server):
    return int(MISSES.search(client.ask(server.port, "/metrics").body.decode())[1])
