"""The course of it, and the verdict."""

import asyncio
import os
import random
import signal
import statistics
import time

import client
import kinds
import log
import process
from http1 import Http1
from message import Request
from traffic import Traffic, table

# What a process may use more in the last third of a phase than in its first third: KiB of memory, a
# part of what it was and so many; descriptors and mappings.
BOUNDS = {"part": 0.05, "rss": 8192, "descriptors": 24, "maps": 32}
# Seconds.
RELOAD, KILL, SAMPLE = 2, 5, 1
REHEARSALS = 10
# Of a phase, before it is measured.
WARM = 0.25


class Soak:
    def __init__(self, nginx, seconds, seed, names):
        self.nginx, self.seconds = nginx, seconds
        self.random = random.Random(seed)
        every = kinds.kinds(nginx.environment)
        if names:
            every = [kind for kind in every if kind.name in names]
        self.traffic = Traffic(every, nginx.port, seed, self.explain)
        # (time, process) of each kill.
        self.kills = []
        self.reloads = 0
        self.reasons = []
        # Rows of the table of processes: name, first and last usage.
        self.usages = []
        self.counted = []

    def explain(self, begin, end):
        return any(begin <= when <= end for when, _ in self.kills)

    async def run(self):
        # What is free in the master's heap is used only after some of them.
        for _ in range(REHEARSALS):
            await self.reload()
        storm = asyncio.create_task(self.phase(self.seconds * 0.5, [self.reload_on(), self.kill_on()], self.master))
        self.usages.append(("master", await storm))
        await self.counts()
        await self.phase_of_workers()
        await self.counts()
        if not await asyncio.to_thread(self.nginx.quit):
            self.reasons.append("nginx did not end well within minutes")

    def master(self):
        return {"master": process.usage(self.nginx.pid)}

    async def phase_of_workers(self):
        workers = self.nginx.pids()
        samples = await self.phase(self.seconds * 0.5, [], lambda: {pid: process.usage(pid) for pid in workers})
        self.usages += [(f"worker {pid}", {pid: samples[pid]}) for pid in workers]

    async def phase(self, seconds, disturbances, measure):
        """Traffic for so long, with something going on beside it. The samples, by process."""
        tasks = [asyncio.create_task(one) for one in disturbances]
        begin, samples = time.monotonic(), {}
        self.traffic.start()
        while (now := time.monotonic()) < begin + seconds:
            if now > begin + WARM * seconds:
                for pid, usage in measure().items():
                    samples.setdefault(pid, []).append(usage)
            await asyncio.sleep(SAMPLE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.traffic.stop()
        if not await asyncio.to_thread(self.nginx.wait, lambda: len(self.nginx.pids()) == self.nginx.workers):
            self.reasons.append(f"{len(self.nginx.pids())} workers where there should be {self.nginx.workers}")
        return samples

    async def reload(self):
        before = set(self.nginx.pids())
        self.nginx.reload()
        self.reloads += 1
        if not await asyncio.to_thread(self.nginx.wait, lambda: before.isdisjoint(self.nginx.pids())):
            self.reasons.append(f"of the workers {sorted(before)}, some are still there minutes after a reload")

    async def reload_on(self):
        while True:
            await asyncio.sleep(RELOAD * (0.5 + self.random.random()))
            await self.reload()

    async def kill_on(self):
        while True:
            await asyncio.sleep(KILL * (0.5 + self.random.random()))
            if pids := self.nginx.pids():
                pid = self.random.choice(pids)
                os.kill(pid, signal.SIGKILL)
                self.kills.append((time.monotonic(), pid))

    async def counts(self):
        """Contexts by what has become of them, in all workers until now, as metrics have it. Nothing is
        under way then but calls, and what nginx does behind the last byte of a response: until two pages
        are the same."""
        counts, last = await self.count(), None
        while counts != last:
            await asyncio.sleep(1)
            counts, last = await self.count(), counts
        self.counted.append(counts)

    async def count(self):
        answer = await client.Client(Http1, self.nginx.port).ask(Request("/metrics"), fresh=True)
        page = answer.body.decode()
        return {module: log.metrics(page, module, kinds.CALLBACKS.values()) for module in kinds.COUNTING}

    def report(self):
        """Prints what was, and gives what should not have been."""
        traffic, reasons = self.traffic, self.reasons
        killed = {pid for _, pid in self.kills}
        seen = log.Log(self.nginx.log, killed, self.nginx.readers)
        print(table(traffic))
        print(f"\n{traffic.requests} requests ({', '.join(f'{n} {name}' for name, n in traffic.protocols.items())} right), "
              f"{traffic.retries} asked again, {self.reloads} reloads, {len(self.kills)} kills ({seen.torn} "
              f"of them in the midst of a change to shared memory), "
              f"{len(seen.lives)} workers, {seen.created} contexts in those that were not killed\n")
        reasons += [f"{time.strftime('%H:%M:%S', time.localtime(when))} {reason}" for when, reason in traffic.unexplained[:20]]
        if len(traffic.unexplained) > 20:
            reasons.append(f"... {len(traffic.unexplained)} answers in all that are not explained")
        reasons += [f"no right answer of {name}" for name in ("Http1", "Http2") if not traffic.protocols[name]]
        reasons += [f"no right answer to {name}" for name, outcomes in traffic.outcomes.items()
                    if not (outcomes["right"] or outcomes["left"])]
        reasons += seen.reasons
        before, after = self.counted
        for module in kinds.COUNTING:
            counts = {name: after[module][name] - before[module][name] for name in after[module]}
            print(f"{module:16} while no worker was killed:", ", ".join(f"{count} {name}" for name, count in counts.items()))
            if len(set(counts.values())) != 1:
                reasons.append(f"contexts of {module} while no worker was killed, by metrics: {counts}")
        for name, samples in self.usages:
            for series in samples.values():
                reasons += grown(name, [usage for usage in series if usage])
        return reasons


def grown(name, series):
    if len(series) < 3:
        return [f"{name}: {len(series)} measurements"]
    third = len(series) // 3
    reasons = []
    for what, value in (("rss", lambda usage: usage.rss), ("descriptors", lambda usage: usage.descriptors),
                        ("maps", lambda usage: usage.maps)):
        first, last = (statistics.median(map(value, part)) for part in (series[:third], series[-third:]))
        bound = first * (1 + BOUNDS["part"] * (what == "rss")) + BOUNDS[what]
        print(f"{name:16} {what:12} {first:8.0f} -> {last:8.0f}, at most {bound:.0f}")
        if last > bound:
            reasons.append(f"{name}: {what} from {first:.0f} to {last:.0f}")
    return reasons
