"""Contenders, and the cases: a contender with a workload."""

from dataclasses import dataclass

from workload import FILTERED, NONE


@dataclass(frozen=True)
class Contender:
    """`binary`: nginx, debian or envoy. `runs`: what runs the filters: None, lua, wasm, proxy-wasm, which is Lua's code that has this module run
    them, or base, which is the module of another revision. `base`: the contender without filters that it is compared with."""
    name: str
    title: str
    binary: str
    runs: str | None = None
    base: str | None = None

    def takes(self, workload):
        if self.runs is None:
            return workload in NONE
        if self.binary == "envoy":
            return workload.envoy and bool(workload.filters)
        if self.runs == "proxy-wasm":
            return workload.by_lua
        if self.runs == "lua":
            return workload.lua is not None and workload not in NONE
        return True


CONTENDERS = (
    Contender("nginx", "nginx", "nginx"),
    Contender("module", "nginx, this module", "nginx", "wasm", "nginx"),
    Contender("debian", "Debian's nginx", "debian"),
    Contender("debian-lua", "Debian's nginx, Lua", "debian", "lua", "debian"),
    Contender("debian-module", "Debian's nginx, this module", "debian", "wasm", "debian"),
    Contender("debian-proxy-wasm", "Debian's nginx, `resty.proxy-wasm`", "debian", "proxy-wasm", "debian"),
    Contender("envoy", "Envoy", "envoy"),
    Contender("envoy-wasm", "Envoy, V8", "envoy", "wasm", "envoy"),
)
# With BASE: the same nginx with two revisions of the module.
COMPARED = (
    Contender("nginx", "nginx", "nginx"),
    Contender("base", "BASE", "nginx", "base", "nginx"),
    Contender("module", "now", "nginx", "wasm", "nginx"),
)


@dataclass(frozen=True)
class Case:
    contender: Contender
    workload: object
    port: int

    @property
    def name(self):
        return f"{self.contender.name}/{self.workload.name}"

    @property
    def base(self):
        """The name of the case without a filter; None for such a case itself."""
        return f"{self.contender.base}/{self.workload.base}" if self.contender.base else None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{self.workload.path}"


def cases(contenders, wanted, ports):
    """All cases, those of one workload next to each other. `wanted`: beginnings of workloads' names; all by default.
    What they are compared with is always there."""
    chosen = [one for one in FILTERED if not wanted or any(map(one.name.startswith, wanted))]
    bases = [one for one in NONE if any(workload.base == one.name for workload in chosen)]
    return [Case(contender, workload, next(ports))
            for workload in [*bases, *chosen] for contender in contenders if contender.takes(workload)]
