"""Runs one case on one proxy: what client, upstreams and guests saw."""

import itertools
import time
from collections import Counter

import client
import curl
from case import Case
from ops import hostcalls
from ports import free_port
from upstream import Upstream

# Seconds that anything here waits at most: a busy machine may take long for what takes no time.
PATIENCE = 180
# A case that takes longer is named.
SLOW = 30

# A location with a guest that logs the path, for `pass_by`.
MARKER = Case("marker", hostcalls(trace=False, request_headers=[["log_header", "request", ":path"]]), {})
MARKER.id = "marker"
numbers = itertools.count()


class Stage:
    """The upstreams and ports of all cases, for one proxy."""

    def __init__(self, cases, grpc_port):
        self.ports = {}
        self.servers = {}
        self.upstreams = {}
        for case in cases:
            self.ports[case.id] = free_port()
            servers = {"up": Upstream(case.upstream), "side": Upstream(case.side)}
            for _, name in case.routes:
                servers.setdefault(name, Upstream())
            self.servers[case.id] = servers
            for name, server in servers.items():
                self.upstreams[f"{name}-{case.id}"] = server.port
            self.upstreams[f"dead-{case.id}"] = 1
            if case.grpc:
                self.upstreams[f"grpc-{case.id}"] = grpc_port

    def stop(self):
        for servers in self.servers.values():
            for server in servers.values():
                server.stop()


def run(case, proxy, stage):
    """{"client": […], "up": […], "side": […], "start": […], "log": […]}"""
    begun = time.monotonic()
    before = proxy.log_of(case.id)
    servers, answers = stage.servers[case.id], []
    for request in case.requests:
        ask = curl.ask if case.http2 else client.ask
        answers.append(ask(stage.ports[case.id], request, PATIENCE, until=lambda name: asked(servers[name])))
        pass_by(proxy, stage)
        for server in servers.values():
            server.over()
        settle(case, proxy, stage)
    seen = {name: list(server.requests) for name, server in servers.items()}
    seen["client"] = answers
    seen["start"] = before
    seen["log"] = proxy.log_of(case.id)[len(before):]
    if (seconds := time.monotonic() - begun) > SLOW:
        print(f"conformance: {case.name} took {seconds:.0f} s with {proxy.name}")
    return seen


def settle(case, proxy, stage):
    """Waits until the upstreams of the case have seen and answered all, and the guests' contexts have ended, as their
    traces tell it; and then until the proxy has done all that follows at once."""
    servers = stage.servers[case.id]
    for name, count in case.asks.items():
        wait_for(lambda: len(servers[name].requests) >= count)
    if case.ends:
        wait_for(lambda: not open_contexts(case, proxy))
    pass_by(proxy, stage)
    wait_for(lambda: all(server.quiet() for server in servers.values()))
    pass_by(proxy, stage)


def asked(server):
    wait_for(lambda: server.requests)


def open_contexts(case, proxy):
    kinds = Counter((name, message.split(" ")[0], "parent=0" in message) for name, _, message in proxy.log_of(case.id))
    names = {name for name, _, _ in kinds}
    return any(kinds[name, "on_context_create", False] > kinds[name, "on_delete", False] for name in names)


def pass_by(proxy, stage):
    """Ends when the proxy's event loop has gone round some times, and what it has logged until then has been read."""
    for _ in range(3):
        path = f"/{next(numbers)}."
        client.ask(stage.ports[MARKER.id], {"path": path}, PATIENCE)
        wait_for(lambda: any(path in message for _, _, message in proxy.log_of(MARKER.id)[-50:]))


def wait_for(condition):
    """What has not come then shows as a difference."""
    last = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < last:
        time.sleep(0.02)
