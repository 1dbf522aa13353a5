"""Runs plugins on the real hosts of Extism and waPC, and compares what they answer with what is on record; then those of Extism in nginx, and
compares again.

    python conformance/plugins --filters DIRECTORY --node-modules DIRECTORY --nginx FILE --module FILE --work DIRECTORY
                               [--record] [--show] [--only hosts|nginx] [CASE...]

CASE is a case's name or its beginning. --record writes recorded.json, which is what the hosts answered; --show prints what was seen; --only
runs one half. Exit status: 0 if all is as recorded, in nginx with the differences of known.json; 1 if not; 2 if a host or a plugin is
missing.
"""

import argparse
import concurrent.futures
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# Its own modules come first: some have the names of those of conformance/.
sys.path[:0] = [HERE]
sys.path += [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "scripts", "python")]

import compare
import nginx_host
from case import EXTISM
from cases import CASES
from hosts import RUNNERS, HostFailure, Stage
from known import Known
from ports import free_port
from upstream import Upstream

RECORD = os.path.join(HERE, "recorded.json")
KNOWN = os.path.join(HERE, "known.json")


def run(case, runner, options):
    """One case on a host, with a server of its own to be asked."""
    upstream = Upstream(case.upstream)
    stage = Stage(os.path.abspath(options.filters), options.node_modules, os.path.abspath(options.nginx), os.path.abspath(options.module),
                  os.path.join(os.path.abspath(options.work), "cache"), {"up": upstream.port, "dead": free_port()})
    try:
        seen = runner(case, stage)
        for request in upstream.requests:
            body = b"".join(request["body"]).decode("utf-8", "backslashreplace")
            headers = [[name, stage.plain(value)] for name, value in request["headers"]]
            seen.upstream.append([request["request"], sorted(headers), body])
    finally:
        upstream.stop()
    return compare.plain(seen)


def run_all(cases, runner_of, options):
    """Names → plain runs."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = dict(zip((case.name for case in cases), pool.map(lambda case: run(case, runner_of(case), options), cases)))
    if options.show:
        print(json.dumps(runs, ensure_ascii=False, indent=1))
    return runs


def on_hosts(cases, recorded, options):
    """Whether the real hosts answer as recorded."""
    runs = run_all(cases, lambda case: RUNNERS[case.kind], options)
    if options.record:
        names = {case.name for case in CASES}
        recorded.update(runs)
        compare.write(RECORD, dict(sorted((name, one) for name, one in recorded.items() if name in names)))
        return True
    others = 0
    for name, seen in runs.items():
        lines = compare.differences(recorded[name], seen) if name in recorded else ["not recorded"]
        others += bool(lines)
        for line in lines:
            print(f"plugins: {name}: {line}")
    print(f"plugins: hosts: {len(runs)} cases, {others} not as recorded")
    return not others


def on_nginx(cases, recorded, options):
    """Whether nginx answers as Extism's host, but for what is known."""
    listed = Known(compare.read(KNOWN))
    runs = run_all(cases, lambda case: nginx_host.run, options)
    same, explained, differ = 0, 0, 0
    for case in cases:
        if case.name not in recorded:
            lines = rest = ["not recorded"]
        else:
            lines = compare.differences(*(compare.for_nginx(one, case) for one in (recorded[case.name], runs[case.name])))
            rest = listed.unexplained(case.name, lines)
        for line in rest:
            print(f"plugins: nginx: {case.name}: {line}")
        same, explained, differ = same + (not lines), explained + (bool(lines) and not rest), differ + bool(rest)
    unused = [] if options.case else list(listed.unused())
    for line in unused:
        print(f"plugins: nginx: known.json has what is no difference: {line}")
    print(f"plugins: nginx: {len(cases)} cases, {same} the same, {explained} known, {differ} differ")
    return not differ and not unused


def main():
    parser = argparse.ArgumentParser(prog="conformance/plugins")
    for option in ("filters", "node-modules", "nginx", "module", "work"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--only", choices=("hosts", "nginx"))
    parser.add_argument("case", nargs="*")
    options = parser.parse_args()
    cases = [case for case in CASES if not options.case or any(map(case.name.startswith, options.case))]
    if not cases or len({case.name for case in CASES}) < len(CASES):
        sys.exit("conformance/plugins: error: no such case, or two of one name")
    needed = [os.path.join(options.filters, f"{plugin}.wasm") for plugin in sorted({case.plugin for case in cases})]
    for path in (*needed, options.nginx, options.module):
        if not os.path.exists(path):
            print(f"conformance/plugins: error: no {path}: run it as `make plugins`", file=sys.stderr)
            return 2
    os.makedirs(options.work, exist_ok=True)
    recorded = compare.read(RECORD) if os.path.exists(RECORD) else {}
    extism = [case for case in cases if case.kind == EXTISM]
    try:
        agreed = options.only == "nginx" or on_hosts(cases, recorded, options)
        if extism and options.only != "hosts":
            agreed = on_nginx(extism, recorded, options) and agreed
    except HostFailure as failure:
        print(f"conformance/plugins: error: {failure}", file=sys.stderr)
        return 2
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
