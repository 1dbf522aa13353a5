"""Guests that are the content of a location (plugins, components): servers that are started one after the other, each for one work in one
way, and measured under load."""

import os
import subprocess
import sys
import threading
import time

import client
import process
import wrk
from failure import Failure
from proxy import PATIENCE

HERE = os.path.dirname(os.path.abspath(__file__))
# The server that guests call which wait, as nginx's upstream.
SLOW = "bench_slow"
DELAY_MS = 100
# Seconds of load before what is measured.
WARM = 2
PATH = "/bench"


class Server:
    """One way to do one work, in a process of its own. `command`: what starts it, and whether its processes are nginx's workers."""

    def __init__(self, stage, work, way, command, slow):
        self.work, self.way, self.port = work, way, next(stage.ports)
        self.name = f"{way.name}-{work.name}"
        self.log = os.path.join(stage.work, f"{self.name}.{way.suffix}")
        words, self.is_nginx = command(stage, self, slow)
        self.path = work.path.format(slow=SLOW if self.is_nginx else f"127.0.0.1:{slow}")
        with open(self.log, "a") as log:
            self.running = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)

    def wait(self):
        last = time.monotonic() + PATIENCE
        while self.ask() is None:
            if self.running.poll() is not None or time.monotonic() > last:
                raise Failure(f"{self.name} does not answer; its log is {self.log}")
            time.sleep(0.02)
        self.pids = process.children(self.running.pid) if self.is_nginx else [self.running.pid]

    def ask(self):
        return client.ask(self.port, self.path, data=self.work.body, method="POST")

    def check(self):
        got = self.ask()
        if got is None or got.status != 200 or got.body != self.work.answer:
            raise Failure(f"{self.name}: {got and (got.status, got.body[:80])}, not {self.work.answer[:80]!r}")

    def load(self, stage, seconds):
        url = f"http://127.0.0.1:{self.port}{self.path}"
        return wrk.run(url, stage.load_cpu, seconds, self.work.connections, self.work.body, "POST", PATIENCE)

    def cpu(self):
        return sum(map(process.cpu, self.pids))

    def memory(self):
        """Private memory, and what of it guests have, in KiB, of all its processes."""
        private = sum(process.memory(pid)["private"] for pid in self.pids)
        return private, sum(map(process.guests, self.pids)) if self.is_nginx else 0

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
    load = server.load(stage, seconds)
    used, passed = server.cpu() - before, time.monotonic() - begin
    look.join()
    private, guests = look.found
    return {"rps": round(load.requests / load.seconds, 1), "cpu_us": round(used / 1e3 / load.requests, 4), "p50_us": load.p50,
            "p99_us": load.p99, "busy": round(used / 1e9 / passed, 3), "private_kib": private, "more_kib": private - bare, "guests_kib": guests}


def run(stage, options, every, command):
    """Samples of each work in each way, by "way/work"; each server is started anew in every round. All of them have all processors; wrk
    has one thread."""
    slow = next(stage.ports)
    slow_server = subprocess.Popen([sys.executable, "-B", os.path.join(HERE, "slow.py"), str(slow), str(DELAY_MS)])
    samples = {f"{way.name}/{work.name}": [] for work, way in every}
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count()))
    try:
        for number in range(options.rounds):
            for work, way in reversed(every) if number % 2 else every:
                # One at a time: some servers are not idle when they have nothing to do.
                server = Server(stage, work, way, command, slow)
                try:
                    server.wait()
                    server.check()
                    bare, _ = server.memory()
                    # Instances are there, and what is compiled while a server runs.
                    server.load(stage, WARM * work.longer)
                    samples[f"{way.name}/{work.name}"].append(sample(server, stage, options.time * work.longer, bare))
                    server.check()
                finally:
                    server.stop()
            print(f"bench: {', '.join(sorted({work.name for work, _ in every}))}, round {number + 1} of {options.rounds}", flush=True)
    finally:
        os.sched_setaffinity(0, processors)
        slow_server.terminate()
        slow_server.wait()
    return samples
