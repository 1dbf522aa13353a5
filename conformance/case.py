"""What a case is: filters with their configuration, requests, upstreams' scripts.

In configurations, `{up}`, `{side}`, `{grpc}`, `{dead}` stand for the names of the case's upstreams: the one
that requests go to, another HTTP server, a gRPC server, one that refuses connections.
"""

import json


class Filter:
    def __init__(self, guest="hostcalls", config="", vm_config=None, vm=None):
        self.guest = guest
        self.config = config
        self.vm_config = vm_config
        # Filters of the same name share an instance, as do filters of the same `vm_id` in Envoy.
        self.vm_name = vm


class Case:
    """`compare`: which of "client", "up", "side", "log" are compared.
    `asks`: server → requests that it gets at least, where nothing else tells that they will come.
    `ends`: the contexts of its requests end by themselves.
    `order`: "exact", or "sorted" where lines of the log may come in any order."""

    def __init__(self, name, filters, requests, upstream=None, side=None, routes=(), asks=None, ends=True,
                 compare=("client", "up", "side", "log"), order="exact", start=False, grpc=False, http2=False):
        self.name = name
        self.filters = filters if isinstance(filters, list) else [filters]
        self.requests = requests if isinstance(requests, list) else [requests]
        self.upstream = upstream
        self.side = side
        self.routes = routes
        self.asks = asks or {}
        self.ends = ends
        self.compare = compare
        self.order = order
        self.start = start
        self.grpc = grpc
        # The client speaks HTTP/2.
        self.http2 = http2
        self.id = ""

    def vm(self, index):
        name = self.filters[index].vm_name
        return f"{self.id}.{name or f'f{index}'}"

    def text(self, config):
        """A configuration as the guest gets it, with the names of upstreams."""
        text = config if isinstance(config, str) else json.dumps(config)
        for name in ("up", "side", "grpc", "dead"):
            text = text.replace("{%s}" % name, f"{name}-{self.id}")
        return text
