"""What is to be reached, and whether it is."""

import statistics
from dataclasses import dataclass

import plugin
import result as results


@dataclass(frozen=True)
class Target:
    """`value`: the figure of a result; None where it was not measured. `least`: the figure must be at least the bound, not at most."""
    name: str
    bound: float
    unit: str
    value: object
    least: bool = False

    def reached(self, value):
        return value >= self.bound if self.least else value <= self.bound


def extra(workload, other="nginx/hello", contender="module"):
    def value(result):
        names = (f"{contender}/{workload}", other)
        return results.difference(result, *names)["median"] if all(name in result["cases"] for name in names) else None
    return value


def share_of_extra(workload, other):
    """What a workload takes more than no filter does, of what another one takes more, in percent."""
    one, two = extra(workload), extra(other)
    return lambda result: None if one(result) is None or not two(result) else 100 * one(result) / two(result)


def ratio(workload, other, measure, inverse=False):
    def value(result):
        names = (f"module/{workload}", other)
        if not all(name in result["cases"] for name in names):
            return None
        return 100 * results.ratio(result, *(reversed(names) if inverse else names), measure)["median"]
    return value


def share_of(case, other, measure):
    """Of what another case has, in percent."""
    def value(result):
        if not all(name in result["cases"] for name in (case, other)):
            return None
        return 100 * results.ratio(result, case, other, measure)["median"]
    return value


def private(configurations):
    """More private memory of the worker than a bare nginx's, in MiB."""
    def value(result):
        found = {row["configurations"]: row["private"] for row in result.get("memory", []) if row["workers"] == 1 and row["cache"]}
        return (found[configurations] - found[None]) / 1024 if configurations in found else None
    return value


def warm_test(result):
    return result["start"]["warm"]["test_ms"]["median"] if "start" in result else None


def compiled(result):
    return max(result["reload"].values()) if "reload" in result else None


def share_of_way(one, other, work, measure="cpu_us", of="plugins"):
    """CPU per request of a way, or another measure, in hundredths of another's."""
    def value(result):
        found = [plugin.median(result.get(of, {}), f"{name}/{work}", measure) for name in (one, other)]
        return 100 * found[0] / found[1] if all(found) else None
    return value


def of_serve(one, work, measure="cpu_us", other="serve"):
    return share_of_way(one, other, work, measure, "components")


def times_of_serve(work):
    share = of_serve("component", work, "rps")
    return lambda result: share(result) and share(result) / 100


def above_return(result):
    found = [plugin.median(result.get("plugins", {}), f"{name}/H1") for name in ("plugin", "return")]
    return found[0] - found[1] if all(found) else None


def per_call(result):
    """Private memory of a call that waits, without its guest's, in KiB."""
    found = result.get("plugins", {}).get("plugin/H3")
    work, = plugin.chosen(["H3"])
    return statistics.median((one["more_kib"] - one["guests_kib"]) / work.connections for one in found) if found else None


def growth(result):
    found = [plugin.median(result.get("plugins", {}), f"{name}/H1", "rps") for name in ("plugin-2", "plugin")]
    return found[0] / found[1] if all(found) else None


PLUGIN_TARGETS = (
    Target("H1: CPU per request, of Fiber's with a mutex", 20, "%", share_of_way("plugin", "mutex", "H1")),
    Target("H1: of Fiber's with a plugin for each processor", 33.3, "%", share_of_way("plugin", "channel", "H1")),
    Target("H1: of Fiber's with a `sync.Pool`", 33.3, "%", share_of_way("plugin", "pool", "H1")),
    Target("H1, `isolation=request`: of Fiber's with a mutex", 50, "%", share_of_way("plugin-request", "mutex", "H1")),
    Target("H1: CPU per request more than `return 200`", 3, "µs", above_return),
    Target("H1: throughput of two workers, of one's", 1.8, "", growth, True),
    Target("H2: CPU per request, of Fiber's with a mutex", 100, "%", share_of_way("plugin", "mutex", "H2")),
    Target("H3: private memory of a call that waits, without the guest's own", 128, "KiB", per_call),
)

COMPONENT_TARGETS = (
    Target("C1, an instance for each request: CPU per request, of `wasmtime serve`'s", 20, "%", of_serve("component", "C1")),
    Target("C2: the same", 25, "%", of_serve("component", "C2")),
    Target("C3: the same", 100, "%", of_serve("component", "C3")),
    Target("C4: throughput, times that of `wasmtime serve`", 2, "", times_of_serve("C4"), True),
    Target("C5: memory of 1,000 connections that wait for a request of their own, of `wasmtime serve`'s", 50, "%", of_serve("component", "C5", "more_kib")),
)

TARGETS = (
    Target("W0: extra CPU per request", 0.3, "µs", extra("W0")),
    Target("W1: CPU per request more than Lua's, in the same nginx", 0, "µs",
           extra("W1", "debian-lua/W1", "debian-module")),
    Target("W2: extra CPU per request", 1, "µs", extra("W2")),
    Target("W3, unchanged: throughput of nginx's without a filter", 95, "%", ratio("W3-pass", "nginx/page", "rps"), True),
    Target("W3, unchanged: the same by CPU per request", 95, "%", ratio("W3-pass", "nginx/page", "cpu_us", True), True),
    Target("W4: extra CPU per request", 2, "µs", extra("W4")),
    Target("W5: CPU per request more than W2", 8, "µs", extra("W5", "module/W2")),
    Target("W8: throughput of nginx's without a filter", 95, "%", ratio("W8", "nginx/upload", "rps"), True),
    Target("W8: the same by CPU per upload", 95, "%", ratio("W8", "nginx/upload", "cpu_us", True), True),
    Target("W8: CPU per upload, of Envoy's with the filter", 50, "%", ratio("W8", "envoy-wasm/W8", "cpu_us")),
    Target("A1, by `resty.proxy-wasm`: CPU per request more than by `wasm_filter`", 1.5, "µs",
           extra("A1", "debian-module/A1", "debian-proxy-wasm")),
    Target("A1, by `resty.proxy-wasm`: throughput of pure Lua's", 75, "%",
           share_of("debian-proxy-wasm/A1", "debian-lua/A1", "rps"), True),
    Target("X1: CPU per request more than W0", 0, "µs", extra("X1", "module/W0")),
    Target("X1: extra CPU per request, of W2's", 50, "%", share_of_extra("X1", "W2")),
    Target("private memory of a worker more than bare nginx's, one small Rust filter", 3, "MiB", private(1)),
    Target("the same, 100 configurations", 10, "MiB", private(100)),
    Target("`nginx -t` of a Go guest of 5 MiB, warm cache", 100, "ms", warm_test),
    Target("modules compiled by a reload with unchanged modules", 0, "", compiled),
)
