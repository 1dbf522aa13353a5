"""Reloads an nginx that runs with the directives of kinds.py, under full load.

    python soak/reload.py '{"conf": nginx.conf, "pid": master, "port": port, "workers": number,
        "reloads": number, "warm": number, "guest": file.wasm, "environment": {...}, "kinds": [...]}'

Each reload has another configuration for the filter "version", and each tenth another guest. Prints JSON:
`unexplained`, a list of answers that are not right; `stuck`, reloads that were not taken; `master` and
`workers` (the one with the most of each), what they used behind `warm` reloads and at the end.
"""

import asyncio
import json
import os
import re
import signal
import sys
import time

import kinds
import process
from client import Client
from http1 import Http1
from message import Request
from traffic import Traffic

PATIENCE = 180


class Reloads:
    def __init__(self, what):
        self.__dict__.update(what)
        self.version = 0
        with open(self.guest, "rb") as file:
            self.code = file.read()

    def change(self):
        self.version += 1
        if self.version % 10 == 0:
            # A custom section makes it another module with the same code.
            name = b"v%06d" % self.version
            replace(self.guest, self.code + bytes((0, len(name) + 1, len(name))) + name)
        with open(self.conf) as file:
            text = file.read()
        text, count = re.subn(r'("x-version": ")\d+"', rf'\g<1>{self.version}"', text)
        assert count, "no x-version in nginx.conf"
        replace(self.conf, text.encode())

    async def reload(self):
        """Ends when it serves, and the old workers are gone; else says what is amiss."""
        before = set(process.children(self.pid))
        self.change()
        os.kill(self.pid, signal.SIGHUP)
        one = Client(Http1, self.port)

        async def amiss():
            pids = set(process.children(self.pid))
            if len(pids) != self.workers or pids & before:
                return f"workers {pids}, {pids & before} of them old"
            answer = await one.ask(Request("/plain"), fresh=True)
            version = answer.headers.get("x-version")
            return None if version == [str(self.version)] else f"configuration {version}, not {self.version}"

        end = time.monotonic() + PATIENCE
        while reason := await amiss():
            if time.monotonic() > end:
                return reason
            await asyncio.sleep(0.02)
        return None

    def used(self):
        def shown(usages):
            fds = {kind for usage in usages for kind in usage.fds}
            return {"rss": max(usage.rss for usage in usages), "maps": max(usage.maps for usage in usages),
                    "fds": {kind: max(usage.fds.get(kind, 0) for usage in usages) for kind in sorted(fds)}}

        workers = [usage for pid in process.children(self.pid) if (usage := process.usage(pid))]
        return shown([process.usage(self.pid)]), shown(workers)

    async def run(self):
        every = [kind for kind in kinds.kinds(kinds.Environment(**self.environment)) if kind.name in self.kinds]
        traffic = Traffic(every, self.port, seed=1)
        traffic.start()
        stuck, begin = [], time.monotonic()
        first = self.used()
        for number in range(1, self.reloads + 1):
            if reason := await self.reload():
                stuck.append(f"reload {number}: {reason}")
                break
            if number == self.warm:
                first = self.used()
        last = self.used()
        seconds = time.monotonic() - begin
        await traffic.stop()
        return {
            "requests": traffic.requests, "right": traffic.protocols, "retries": traffic.retries, "stuck": stuck, "seconds": round(seconds, 1),
            "unexplained": [reason for _, reason in traffic.unexplained],
            "master": [first[0], last[0]], "workers": [first[1], last[1]],
        }


def replace(path, data):
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.rename(path + ".new", path)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(Reloads(json.loads(sys.argv[1])).run())))
