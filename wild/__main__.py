"""Tries public filters, as their authors publish them, in a real nginx with this module.

    python wild --nginx FILE --module FILE --work DIRECTORY [--document FILE] [CASE...]

CASE is the beginning of a case's name, which begins with its filter's. The filters come from package registries, pinned, and stay
in WORK/filters. --document puts the table into a Markdown file, between its marks. Exit status: 0 if all cases work, 1 if not, 2 if
a filter cannot be had or a tool is missing.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.append(os.path.join(sys.path[0], "..", "scripts", "python"))

import report
from case import Failure
from cases import FILTERS
from fetch import Fetcher
from run import Stage


def main():
    parser = argparse.ArgumentParser(prog="wild")
    for option in ("nginx", "module", "work"):
        parser.add_argument(f"--{option}", required=True, type=os.path.abspath)
    parser.add_argument("--document", type=os.path.abspath)
    parser.add_argument("--go", default="go")
    parser.add_argument("case", nargs="*")
    options = parser.parse_args()
    chosen = [(one, case) for one in FILTERS for case in one.cases
              if not options.case or any(f"{one.name}: {case.name}".startswith(name) for name in options.case)]
    if not chosen:
        raise Failure("no such case")
    os.makedirs(options.work, exist_ok=True)
    fetcher = Fetcher(os.path.join(options.work, "filters"), options.go)
    guests = {}
    for one, case in chosen:
        for link in case.chain or [one.link()]:
            if link.filter.name not in guests:
                guests[link.filter.name] = fetcher.get(link.filter)
    stage = Stage(options, guests)
    try:
        results = []
        for one, case in chosen:
            results.append((one, case, stage.run(one, case)))
            print(report.line(*results[-1]), flush=True)
    finally:
        stage.stop()
    failed = sum(bool(problem) for _, _, problem in results)
    print(f"\n{report.table(results)}\nwild: {len(results) - failed} of {len(results)} cases work")
    if options.document:
        report.write(results, options.document)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"wild: error: {failure}", file=sys.stderr)
        sys.exit(2)
