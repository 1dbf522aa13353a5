"""Runs the same filters and requests on Envoy and on this nginx, and prints every difference in what
client, upstream and filters saw.

    python3 conformance --envoy FILE --nginx FILE --module FILE --filters DIRECTORY [--work DIRECTORY]
                        [--show] [CASE...]

CASE is a case's name or its beginning. --show prints what each proxy did, also where they agree.
Exit status: 0 if all differences are those listed in known.json; 1 if there are others; 2 if a proxy
or a tool is missing or does not start.
"""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.append(os.path.join(sys.path[0], "..", "scripts", "python"))

import compare
import envoy
import known
import nginx
import normal
from cases import load
from proxy import Proxy
from ports import free_port
from run import MARKER, Stage, pass_by, run

HERE = os.path.dirname(os.path.abspath(__file__))
START = 600
WORKERS = 6


class Failure(Exception):
    """What makes a comparison impossible."""

# How often a case that differs is tried again.
RETRIES = 4


def fail(message):
    raise Failure(message)


def main():
    parser = argparse.ArgumentParser(prog="conformance")
    for option in ("envoy", "nginx", "module", "filters"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--python", help="an interpreter with grpcio, for the cases of gRPC")
    parser.add_argument("--work", help="where configurations and logs stay")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--only", choices=("envoy", "nginx"), help="runs one proxy, and shows what it did")
    parser.add_argument("case", nargs="*")
    options = parser.parse_args()
    for path in (options.envoy, options.nginx, options.module, options.filters):
        if not os.path.exists(path):
            fail(f"no {path}: run it as `make conformance`")

    cases = [case for case in load() if not options.case or any(map(case.name.startswith, options.case))]
    if not cases:
        fail("no such case")
    guests = {
        name[:-5]: os.path.abspath(os.path.join(options.filters, name))
        for name in os.listdir(options.filters)
        if name.endswith(".wasm")
    }
    for number, case in enumerate(cases):
        case.id = f"c{number}"
        for filter in case.filters:
            if filter.guest not in guests:
                fail(f"{case.name}: no {filter.guest}.wasm in {options.filters}: run `make filters`")

    with tempfile.TemporaryDirectory(prefix="conformance-") as temporary:
        work = options.work or temporary
        os.makedirs(work, exist_ok=True)
        begun = time.monotonic()
        grpc = Grpc(options.python) if any(case.grpc for case in cases) else None
        try:
            results = run_both(cases, guests, options, work, grpc)
            if options.only:
                compare.show(cases, results[options.only])
                return 0
            listed = known.load(os.path.join(HERE, "known.json"))
            compared = compare.compare(cases, results, listed)
            for _ in range(RETRIES):
                again = [case for case, _, rest in compared if rest]
                if not again:
                    break
                # A machine that is busy can bring the proxies' events into another order, and what a client sees of
                # them: Envoy resets an HTTP/2 stream right behind an early answer. What is no accident comes again.
                print(f"conformance: once more, on fresh proxies: {', '.join(case.name for case in again)}")
                for name, seen in run_both(again, guests, options, work, grpc).items():
                    results[name].update(seen)
                compared = compare.compare(cases, results, listed)
        finally:
            if grpc:
                grpc.stop()
        seconds = time.monotonic() - begun
    return compare.report(compared, listed, seconds, show_all=options.show, whole=not options.case)


class Grpc:
    """The tests' gRPC server, which lives as long as its standard input is open."""

    def __init__(self, python):
        self.port = free_port()
        script = os.path.join(HERE, "..", "t", "servers", "grpc_server.py")
        self.process = subprocess.Popen(
            [python or sys.executable, script, f"tcp:127.0.0.1:{self.port}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        if self.process.stdout.readline().strip() != "ready":
            fail("the gRPC server does not start: run `scripts/setup test`")

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_envoy(cases, stage, guests, options, work):
    conf = envoy.configuration(cases, stage.ports, stage.upstreams, guests)
    file = nginx.write(work, "envoy.json", json.dumps(conf, indent=1))
    command = [options.envoy, "-c", file, "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning",
               "--component-log-level", "wasm:info", "--drain-time-s", "1", "--parent-shutdown-time-s", "2"]
    return Proxy("Envoy", command, envoy.parse)


def start_nginx(cases, stage, guests, options, work):
    os.makedirs(os.path.join(work, "logs"), exist_ok=True)
    module = os.path.abspath(options.module)
    conf = nginx.configuration(cases, stage.ports, stage.upstreams, guests, module, work)
    file = nginx.write(work, "nginx.conf", conf)
    return Proxy("nginx", [options.nginx, "-p", work, "-c", file, "-e", "stderr"], nginx.parse)


def run_both(cases, guests, options, work, grpc):
    names = [options.only] if options.only else ["envoy", "nginx"]
    starters = {"envoy": start_envoy, "nginx": start_nginx}
    # Side by side: both spend most of the time in compiling guests, on one processor each.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = {
            name: pool.submit(run_all, name, starters[name], cases, guests, options, work, grpc) for name in names
        }
        return {name: run.result() for name, run in runs.items()}


def run_all(name, start, cases, guests, options, work, grpc):
    begun = time.monotonic()
    served = [*cases, MARKER]
    stage = Stage(served, grpc and grpc.port)
    proxy = start(served, stage, guests, options, work)
    try:
        problem = proxy.wait_for(stage.ports.values(), START)
        if problem:
            fail("\n".join([problem, *proxy.lines[-20:]]))
        # Workers start while their sockets listen already.
        pass_by(proxy, stage)
        started = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            seen = list(pool.map(lambda case: run(case, proxy, stage), cases))
        crashed = not proxy.alive()
        print(f"conformance: {name}: started in {started - begun:.0f} s, {len(cases)} cases in {time.monotonic() - started:.0f} s")
    finally:
        proxy.stop()
        stage.stop()
        nginx.write(work, f"{name}.log", "\n".join(proxy.lines) + "\n")
    if crashed:
        fail("\n".join([f"{name} has crashed", *proxy.lines[-20:]]))
    return {case.name: normal.lines(case, what) for case, what in zip(cases, seen)}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"conformance: error: {failure}", file=sys.stderr)
        sys.exit(2)
