"""CPU time and throughput of one worker with filters, beside other ways to run code in a proxy.

    python bench --nginx FILE --module FILE --filters DIRECTORY --work DIRECTORY
                 [--debian ROOT --debian-module FILE] [--envoy FILE] [--base FILE] [--contenders NAME,...]
                 [--peer FILE] [--wasmtime FILE] [--javascript FILE] [--only W0,H1] [--time SECONDS] [--rounds NUMBER] [--restart ROUNDS] [--connections NUMBER]
    python bench --document RESULT

Contenders and workloads are in case.py and workload.py, those of plugins (H1 …) in plugin.py, of
components (C1 …) in component.py. A run of everything writes bench/results/ and docs/performance.md; one of
some contenders or workloads writes its result to the work directory. --base: another build of the module, to be compared with it. --document
makes docs/performance.md again from a result. Exit status 2: a contender does not start, gives a wrong answer or logs errors.
"""

import argparse
import os
import sys

import check
import component
import document
import memory
import plugin
import report
import result as results
import start
from case import COMPARED, CONTENDERS, cases
from failure import Failure
from proxy import Proxy, Upstream
from rounds import Rounds
from stage import Stage

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULTS, DOCS = os.path.join(ROOT, "bench", "results"), os.path.join(ROOT, "docs")


def names(text):
    return [name for name in text.replace(",", " ").split() if name]


def arguments():
    parser = argparse.ArgumentParser(prog="bench")
    for name in ("nginx", "module", "filters", "work", "debian", "debian-module", "envoy", "peer", "wasmtime", "javascript", "base", "document"):
        parser.add_argument(f"--{name}", type=os.path.abspath)
    parser.add_argument("--contenders", type=names, default=[])
    parser.add_argument("--only", type=names, default=[])
    parser.add_argument("--time", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--restart", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    if not options.document and not all((options.nginx, options.module, options.filters, options.work)):
        parser.error("--nginx, --module, --filters and --work are needed")
    return options


def main():
    options = arguments()
    if options.document:
        print(f"bench: {document.write(results.load(options.document), DOCS)}")
        return
    debian = options.debian
    binaries = {"nginx": options.nginx, "envoy": options.envoy, "peer": options.peer, "wasmtime": options.wasmtime,
                "javascript": options.javascript, "debian": debian and f"{debian}/usr/sbin/nginx"}
    modules = {"wasm": options.module, "debian": options.debian_module, "base": options.base}
    stage = Stage(options.work, options.filters, {name: file for name, file in binaries.items() if file}, modules, debian)
    guests = Guests(stage, options)
    if options.only and all(name[0] in "CH" for name in options.only):
        result = results.head(options, stage, ROOT) | guests.run()
        check.logs(stage)
        print(f"{guests.report(result)}\nbench: {results.save(result, options.work)}")
        return
    every = COMPARED if options.base else CONTENDERS
    contenders = [one for one in every if not options.contenders or one.name in options.contenders]
    if missing := {one.binary for one in contenders} - set(stage.binaries):
        raise Failure(f"without --{' and --'.join(sorted(missing))}, name the --contenders")
    chosen = cases(contenders, options.only, stage.ports)
    print(f"bench: {len(chosen)} cases; configurations and logs are in {stage.work}", flush=True)
    # The harness is not to be where the contenders are.
    os.sched_setaffinity(0, {stage.load_cpu})
    result = results.whole(chosen, measure(contenders, chosen, stage, options), options, stage, ROOT)
    kept = results.save(result, options.work)
    result |= guests.run()
    if not (options.base or options.only or options.contenders):
        result |= {"start": start.run(stage), "memory": memory.run(stage), "reload": memory.reload(stage)}
    check.logs(stage)
    if warning := report.disturbed(result):
        print(f"bench: {warning}")
    if options.base:
        print(f"{report.comparison(result)}\nbench: {kept}")
    elif options.only or options.contenders:
        print(f"{report.cases(result)}\n{guests.report(result)}\nbench: {kept}")
    else:
        path = results.save(result, RESULTS)
        print(f"{report.cases(result)}\n{report.targets(result)}\nbench: {path}, {document.write(result, DOCS)}")


class Guests:
    """Those that are the content of a location: works of plugins and of components that were asked for."""

    def __init__(self, stage, options):
        self.stage, self.options = stage, options
        only = not (options.base or options.contenders)
        self.plugins = plugin.chosen(options.only) if only else []
        self.components = component.chosen(options.only) if only else []
        if self.plugins and not options.peer:
            raise Failure("H1 to H3 need --peer")
        if self.components and not (options.wasmtime and options.javascript):
            raise Failure("C1 to C5 need --wasmtime and --javascript")

    def run(self):
        """What comes to a result."""
        found = {}
        if self.plugins:
            found["plugins"] = plugin.run(self.stage, self.options, self.plugins)
        if self.components:
            found["components"] = component.run(self.stage, self.options, self.components)
        return found

    def report(self, result):
        tables = [report.plugins(result), report.plugin_targets(result)] if self.plugins else []
        tables += [report.components(result), report.component_targets(result)] if self.components else []
        return "\n".join(tables)


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
    return samples


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"bench: error: {failure}", file=sys.stderr)
        sys.exit(2)
