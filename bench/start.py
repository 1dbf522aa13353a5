"""How long `nginx -t` and a worker's start take with a large guest, cold and with wasm_cache."""

import os
import shutil
import subprocess
import time

import client
import nginx
import process
from failure import Failure
from proxy import nginx_command
from statistic import spread

GUEST = "bench_page_go"
PAGE = "hello {{.Path}}"
# How often each is tried; compiling takes seconds. bare: nginx alone; none: with the module, without a guest; warm: with the guest
# and wasm_cache; cold: the same with nothing in wasm_cache.
TRIES = {"bare": 20, "none": 20, "warm": 20, "cold": 5}


def run(stage):
    """{kind: {test_ms, test_cpu_ms, start_ms, worker_cpu_ms}}, with median and quartiles of each, and the guest's size in bytes."""
    port = next(stage.ports)
    samples = {kind: [] for kind in TRIES}
    for kind in TRIES:
        configure(stage, kind, port)
    for number in range(max(TRIES.values())):
        for kind in TRIES:
            if number < TRIES[kind]:
                samples[kind].append(sample(stage, kind, port))
    print("bench: start is measured", flush=True)
    found = {kind: {name: spread(one[name] for one in those) for name in those[0]} for kind, those in samples.items()}
    return {"guest_bytes": os.path.getsize(f"{stage.filters}/{GUEST}.wasm"), **found}


def configure(stage, kind, port):
    lines = [nginx.head(stage, f"start-{kind}", [] if kind == "bare" else stage.load["module"])]
    filters = ""
    if kind in ("warm", "cold"):
        lines += [f"    wasm_cache {cache(stage, kind)};", f"    wasm_module page {stage.filters}/{GUEST}.wasm;"]
        filters = f"""wasm_filter page '{{"page":"{PAGE}"}}'; """
    lines += [f'    server {{ listen 127.0.0.1:{port}; location / {{ {filters}return 200 "hello /x"; }} }}', "}"]
    stage.write(f"start-{kind}.conf", "\n".join(lines))
    if kind == "warm":
        test(stage, kind)


def cache(stage, kind):
    return os.path.join(stage.work, f"start-{kind}-cache")


def sample(stage, kind, port):
    if kind == "cold":
        shutil.rmtree(cache(stage, kind), ignore_errors=True)
    seconds, used = test(stage, kind)
    if kind == "cold":
        shutil.rmtree(cache(stage, kind))
    found = {"test_ms": seconds * 1e3, "test_cpu_ms": used * 1e3, **start(stage, kind, port)}
    return {name: round(value, 3) for name, value in found.items()}


def launch(stage, kind, *more):
    # Compiling takes all processors.
    pinned = [] if kind == "cold" else ["taskset", "-c", str(stage.cpu)]
    command = [*pinned, *nginx_command(stage, "nginx", f"start-{kind}"), *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test(stage, kind):
    """Seconds on the clock and of CPU."""
    begin = time.monotonic()
    running = launch(stage, kind, "-t", "-q")
    said = running.stderr.read()
    _, status, usage = os.wait4(running.pid, 0)
    seconds = time.monotonic() - begin
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise Failure(f"nginx -t ({kind}): {said}")
    return seconds, usage.ru_utime + usage.ru_stime


def start(stage, kind, port):
    """From the start of the program to the first answer, which a worker gives."""
    begin = time.monotonic()
    running = launch(stage, kind)
    try:
        while (got := client.ask(port, "/x")) is None:
            if running.poll() is not None:
                raise Failure(f"nginx ({kind}) does not start: {running.stderr.read()}")
            time.sleep(0.0005)
        seconds = time.monotonic() - begin
        worker, = process.children(running.pid)
        used = process.cpu(worker) / 1e6
    finally:
        running.terminate()
        running.wait()
    if got.body != b"hello /x":
        raise Failure(f"nginx ({kind}) answers {got.body!r}")
    return {"start_ms": seconds * 1e3, "worker_cpu_ms": used}
