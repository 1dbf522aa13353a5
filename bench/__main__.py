"""CPU time and throughput of one worker with filters, beside other ways to run code in a proxy.

    python bench --nginx FILE --module FILE --filters DIRECTORY --work DIRECTORY
                 [--debian ROOT --debian-module FILE] [--envoy FILE] [--contenders NAME,...] [--only W0,W2]
                 [--time SECONDS] [--rounds NUMBER] [--restart ROUNDS] [--connections NUMBER]

Contenders and workloads are in case.py and workload.py. Exit status 2: a contender does not start, gives a wrong answer or
logs errors.
"""

import argparse
import os
import sys

import check
from case import CONTENDERS, cases
from failure import Failure
from proxy import Proxy, Upstream, complaints
from rounds import Rounds
from stage import Stage

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def names(text):
    return [name for name in text.replace(",", " ").split() if name]


def arguments():
    parser = argparse.ArgumentParser(prog="bench")
    for name in ("nginx", "module", "filters", "work"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("debian", "debian-module", "envoy"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--contenders", type=names, default=[one.name for one in CONTENDERS])
    parser.add_argument("--only", type=names, default=[])
    parser.add_argument("--time", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--restart", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    return parser.parse_args()


def main():
    options = arguments()
    debian = options.debian and os.path.abspath(options.debian)
    binaries = {"nginx": options.nginx, "envoy": options.envoy, "debian": debian and f"{debian}/usr/sbin/nginx"}
    modules = {"wasm": options.module, "debian": options.debian_module}
    stage = Stage(work=os.path.abspath(options.work), filters=os.path.abspath(options.filters), debian=debian,
                  binaries={name: os.path.abspath(file) for name, file in binaries.items() if file},
                  modules={name: os.path.abspath(file) for name, file in modules.items() if file})
    contenders = [one for one in CONTENDERS if one.name in options.contenders]
    every = cases(contenders, options.only, stage.ports)
    print(f"bench: {len(every)} cases; configurations and logs are in {stage.work}", flush=True)
    samples = measure(contenders, every, stage, options)
    for name, those in samples.items():
        print(name, those)


def measure(contenders, every, stage, options):
    """Samples of all cases, once they have been checked."""
    upstream = Upstream(stage)
    proxies = []
    try:
        proxies = [Proxy(one, [case for case in every if case.contender == one], stage, check=True) for one in contenders]
        for proxy in proxies:
            proxy.start()
        for proxy in proxies:
            proxy.wait()
            check.calls(proxy)
            proxy.stop()
        print("bench: all answers are right, all filters are called", flush=True)
        proxies = [Proxy(proxy.contender, proxy.cases, stage) for proxy in proxies]
        samples = Rounds(proxies, stage, options).run(every)
    finally:
        for proxy in proxies:
            proxy.stop()
        upstream.stop()
    if bad := complaints(stage, [one.name for one in contenders]):
        raise Failure("\n".join(["errors in the logs:", *bad[:20]]))
    return samples


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"bench: error: {failure}", file=sys.stderr)
        sys.exit(2)
