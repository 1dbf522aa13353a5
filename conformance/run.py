"""Runs one case on one proxy: what client, upstreams and guests saw."""

import itertools
import random
import socket
import time
from collections import Counter

import client
import curl
from upstream import Upstream

PATIENCE = 4


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


# Below the ports that systems give to outgoing connections, which could take one in the meantime.
ports = itertools.count(random.randrange(11000, 17000))


def free_port():
    for port in ports:
        with socket.socket() as sock:
            # As the proxies do, which are not stopped by a connection in TIME_WAIT.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def run(case, proxy, stage):
    """{"client": […], "up": […], "side": […], "start": […], "log": […]}"""
    before = proxy.log_of(case.id)
    answers = []
    for request in case.requests:
        ask = curl.ask if case.http2 else client.ask
        answers.append(ask(stage.ports[case.id], request, PATIENCE))
        settle(case, proxy)
    seen = {name: list(server.requests) for name, server in stage.servers[case.id].items()}
    seen["client"] = answers
    seen["start"] = before
    seen["log"] = proxy.log_of(case.id)[len(before):]
    return seen


def settle(case, proxy):
    """Waits until what the guests began has ended, as their traces tell it; at most a second."""
    time.sleep(case.settle or 0.05)
    last = time.monotonic() + 1
    while time.monotonic() < last:
        time.sleep(0.05)
        kinds = Counter(
            (name, message.split(" ")[0], "parent=0" in message) for name, _, message in proxy.log_of(case.id)
        )
        names = {name for name, _, _ in kinds}
        if not any(kinds[name, "on_context_create", False] > kinds[name, "on_delete", False] for name in names):
            return
