"""Runs plugins on the real hosts of Extism and waPC, and compares what they answer with what is on record.

    python conformance/plugins --filters DIRECTORY --node-modules DIRECTORY [--record] [--show] [CASE...]

CASE is a case's name or its beginning. --record writes recorded.json, which is what the hosts answered; --show prints it. Exit status: 0 if all is as
recorded; 1 if not; 2 if a host or a plugin is missing.
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
from cases import CASES
from hosts import RUNNERS, HostFailure, Stage
from ports import free_port
from upstream import Upstream

RECORD = os.path.join(HERE, "recorded.json")


def run(case, options):
    """One case on its host, with a server of its own to be asked."""
    upstream = Upstream(case.upstream)
    stage = Stage(os.path.abspath(options.filters), options.node_modules, {"up": upstream.port, "dead": free_port()})
    try:
        seen = RUNNERS[case.kind](case, stage)
        for request in upstream.requests:
            body = b"".join(request["body"]).decode("utf-8", "backslashreplace")
            headers = [[name, stage.plain(value)] for name, value in request["headers"]]
            seen.upstream.append([request["request"], sorted(headers), body])
    finally:
        upstream.stop()
    return compare.plain(seen)


def main():
    parser = argparse.ArgumentParser(prog="conformance/plugins")
    parser.add_argument("--filters", required=True)
    parser.add_argument("--node-modules", required=True)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("case", nargs="*")
    options = parser.parse_args()
    cases = [case for case in CASES if not options.case or any(map(case.name.startswith, options.case))]
    names = [case.name for case in CASES]
    if not cases or len(set(names)) < len(names):
        sys.exit("conformance/plugins: error: no such case, or two of one name")
    for plugin in {case.plugin for case in cases}:
        if not os.path.exists(os.path.join(options.filters, f"{plugin}.wasm")):
            print(f"conformance/plugins: error: no {plugin}.wasm in {options.filters}: run `make filters`", file=sys.stderr)
            return 2
    try:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            runs = dict(zip((case.name for case in cases), pool.map(lambda case: run(case, options), cases)))
    except HostFailure as failure:
        print(f"conformance/plugins: error: {failure}", file=sys.stderr)
        return 2
    if options.show:
        print(json.dumps(runs, ensure_ascii=False, indent=1))
    recorded = compare.read(RECORD) if os.path.exists(RECORD) else {}
    if options.record:
        compare.write(RECORD, dict(sorted({**{name: one for name, one in recorded.items() if name in names}, **runs}.items())))
        return 0
    others = 0
    for name, seen in runs.items():
        lines = compare.differences(recorded[name], seen) if name in recorded else ["not recorded"]
        others += bool(lines)
        for line in lines:
            print(f"conformance/plugins: {name}: {line}")
    print(f"conformance/plugins: {len(runs)} cases, {others} not as recorded")
    return 1 if others else 0


if __name__ == "__main__":
    sys.exit(main())
