"""That each case does what it is said to do: the right answer, and filters that are called."""

import os
import re

import client
from failure import Failure

BAD = re.compile(r"\[(?:error|crit|critical|alert|emerg)\]|panicked")
LOGGED = re.compile(r"\[host->vm\]\s+proxy_on_(\w+?)\(")


def answers(proxies):
    """Each case once, as it is measured."""
    for proxy in proxies:
        for case in proxy.cases:
            answer(case, client.get(case))


def calls(proxy):
    """For a proxy with `check`: also that requests are changed, and that each filter is called."""
    for case in proxy.cases:
        workload = case.workload
        before = called(proxy, case)
        got = client.get(case)
        answer(case, got)
        if workload.seen and got.headers.get("x-bench-seen") != "1":
            raise Failure(f"{case.name}: x-bench-request is not there behind the filter")
        after = called(proxy, case)
        for phase in workload.phases if counted(proxy) else ():
            count = after.get(phase, 0) - before.get(phase, 0)
            least = len(workload.filters)
            # A body comes in pieces; else each filter is called once.
            if count < least or not phase.endswith("_body") and count > least:
                raise Failure(f"{case.name}: {least} filters, {count} calls of {phase}")


def answer(case, got):
    workload = case.workload
    if got is None:
        raise Failure(f"{case.name}: no answer from {case.url}")
    if got.status != 200:
        raise Failure(f"{case.name}: status {got.status}")
    if got.body != workload.body:
        raise Failure(f"{case.name}: {len(got.body)} bytes, {got.body[:60]!r}, not {len(workload.body)}, {workload.body[:60]!r}")
    if workload.upload and got.headers.get("x-bench-whole") != "1":
        raise Failure(f"{case.name}: the upload has not come as it was sent")
    for name, value in workload.headers.items():
        if got.headers.get(name) != value:
            raise Failure(f"{case.name}: {name} is {got.headers.get(name)}, not {value}")


def counted(proxy):
    """Whether the proxy tells its callbacks. Lua's show by their answers alone."""
    return proxy.contender.runs in ("wasm", "base")


def called(proxy, case):
    """Callbacks so far: of the case's module, as nginx's metrics tell it, or of all, from Envoy's log."""
    if proxy.contender.binary == "envoy":
        counts = {}
        with open(proxy.log, errors="replace") as file:
            for line in file:
                if found := LOGGED.search(line):
                    counts[found[1]] = counts.get(found[1], 0) + 1
        return counts
    if not counted(proxy):
        return {}
    page = client.ask(proxy.metrics, "/").body.decode()
    pattern = rf'^nginx_wasm_callback_duration_seconds_count\{{module="{case.workload.name}",phase="(\w+)"\}} (\d+)'
    return {phase: int(count) for phase, count in re.findall(pattern, page, re.MULTILINE)}


def logs(stage):
    """No log has a line at level error or above."""
    found = []
    for name in sorted(os.listdir(stage.work)):
        if name.endswith(".log"):
            with open(os.path.join(stage.work, name), errors="replace") as file:
                found += [f"{name}: {line.rstrip()[:300]}" for line in file if BAD.search(line)]
    if found:
        raise Failure("\n".join(["errors in the logs:", *found[:20]]))
