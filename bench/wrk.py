"""wrk, and what it says at its end."""

import json
import os
import subprocess
from dataclasses import dataclass

from failure import Failure
from workload import HEADERS, LINE

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lua", "wrk.lua")


@dataclass(frozen=True)
class Load:
    """`seconds` as wrk measured them; `p50`, `p99` in µs."""
    requests: int
    seconds: float
    p50: float
    p99: float


def run(url, cpu, seconds, connections, upload=b"", method="", patience=2):
    """One thread on processor `cpu`. `upload`: what each request sends, LINE so many times or something short; by `method`, or else POST where
    there is an upload. `patience`: seconds for an answer. Raises Failure where any request had no answer, or a wrong status."""
    command = ["taskset", "-c", str(cpu), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{patience}s", "--latency", "-s", SCRIPT]
    for name, value in HEADERS.items():
        command += ["-H", f"{name}: {value}"]
    line, count = (LINE, len(upload) // len(LINE)) if len(upload) > len(LINE) else (upload, 1 if upload else 0)
    environment = {**os.environ, "BENCH_METHOD": method, "BENCH_LINE": line.decode(), "BENCH_LINES": str(count)}
    done = subprocess.run([*command, url], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds + patience + 60)
    return parse(done.stdout, url)


def parse(text, url):
    """The line that lua/wrk.lua writes, which has exact numbers where wrk's own text rounds them."""
    lines = [line for line in text.splitlines() if line.startswith("{")]
    if not lines:
        raise Failure(f"wrk {url} said:\n{text}")
    said = json.loads(lines[-1])
    errors = {name: count for name, count in said["errors"].items() if count}
    if errors or not said["requests"]:
        raise Failure(f"wrk {url}: {said['requests']} requests, errors {errors}")
    return Load(said["requests"], said["duration"] / 1e6, said["p50"], said["p99"])
