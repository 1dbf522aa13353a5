"""Clients that ask for all kinds of requests until they are told to stop, and what came of it."""

import asyncio
import random
import time
from collections import Counter

import client
from http1 import Http1
from http2 import Http2
from message import Left, Lost

# What may come of a request. Nobody has an explanation for the last two.
OUTCOMES = ("right", "left", "killed", "wrong", "hung")


class Traffic:
    """`every`: the kinds of requests. `explain(begin, end)`: might a request of
    this time (time.monotonic) have lost its worker?"""

    def __init__(self, every, port, seed, explain=lambda begin, end: False):
        self.kinds, self.port, self.explain = every, port, explain
        self.random = random.Random(seed)
        self.weights = [kind.weight for kind in every]
        self.outcomes = {kind.name: Counter() for kind in every}
        # How many answers were right, by protocol.
        self.protocols = Counter()
        # (time, reason) of each that is not explained.
        self.unexplained = []
        self.clients = []
        self.tasks = []

    @property
    def retries(self):
        return sum(one.retries for one in self.clients)

    @property
    def requests(self):
        return sum(counter.total() for counter in self.outcomes.values())

    def start(self, http1=8, http2=2, streams=4, fresh=4):
        """`http1`, `http2`: connections that are kept, the latter with so many streams at a time;
        `fresh`: requests on connections of their own, of both protocols."""
        self.stopping = False
        ways = [(client.Client(Http1, self.port), False) for _ in range(http1)]
        for _ in range(http2):
            ways += [(client.Client(Http2, self.port), False)] * streams
        ways += [(client.Client((Http1, Http2)[i % 2], self.port), True) for i in range(fresh)]
        self.clients = list({id(one): one for one, _ in ways}.values()) + self.clients
        self.running = list({id(one): one for one, _ in ways}.values())
        self.tasks = [asyncio.create_task(self.ask_on(*way)) for way in ways]

    async def stop(self):
        """Ends when the requests under way have ended."""
        self.stopping = True
        await asyncio.gather(*self.tasks)
        for one in self.running:
            one.close()

    async def ask_on(self, one, fresh):
        while not self.stopping:
            [kind] = self.random.choices(self.kinds, self.weights)
            request, wrong = kind.make(self.random)
            begin = time.monotonic()
            # What is not idempotent is asked on fresh connections, for none may be sent twice.
            alone = fresh or request.method == "POST" or request.leave is not None
            outcome, reason = await self.outcome(one, kind, request, wrong, alone)
            if outcome == "lost":
                outcome = "killed" if self.explain(begin, time.monotonic()) else "wrong"
            self.outcomes[kind.name][outcome] += 1
            self.protocols[one.protocol.__name__] += outcome == "right"
            if outcome in ("wrong", "hung"):
                self.unexplained.append((time.time(), f"{kind.name}, {one.protocol.__name__}"
                                         f"{', fresh' if alone else ''}: {reason}"))
                await asyncio.sleep(0.1)

    async def outcome(self, one, kind, request, wrong, fresh):
        try:
            answer = await one.ask(request, fresh)
            reason = wrong(answer)
            return ("wrong", reason) if reason else ("right", "")
        except Left:
            return "left", ""
        except Lost as lost:
            return ("right", "") if kind.breaks and lost.heard else ("lost", f"no answer: {lost}")
        except TimeoutError:
            return "hung", f"no answer in {client.PATIENCE} s"
        except OSError as error:
            return "lost", f"no connection: {error}"
        except (ValueError, IndexError, asyncio.LimitOverrunError) as error:
            return "wrong", f"malformed: {error}"


def table(traffic):
    """Rows of the outcomes of each kind."""
    rows = [("kind", *OUTCOMES)]
    total = Counter()
    for name, counter in traffic.outcomes.items():
        rows.append((name, *(counter[outcome] for outcome in OUTCOMES)))
        total += counter
    rows.append(("all", *(total[outcome] for outcome in OUTCOMES)))
    return "\n".join(f"{name:16}" + "".join(f"{value:>10}" for value in row) for name, *row in rows)
