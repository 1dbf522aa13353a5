"""Instructions that a filter costs per request, as valgrind's callgrind counts them, against those on record.

    python bench/instructions.py --nginx FILE --module FILE --filters DIRECTORY --work DIRECTORY [--record]

Of W0, W1, W2, W4, W5, W6, X1 and N0: those of the worker with the filter less those without, in one process. They hardly depend on the
machine or on what else it does. The insides of the C library's allocator are left out: nginx's own pools cost some hundred more or less as the
heap happens to lie. Exit status 1: more than TOLERANCE above bench/instructions.json; 2: something does not work. --record writes that file.

Callgrind's processor is a plain one, so guests are compiled anew for it; that takes a while.
"""

import argparse
import glob
import json
import os
import re
import subprocess
import sys

import callgrind
import check
import client
from case import CONTENDERS, cases
from failure import Failure
from proxy import Proxy, Upstream
from stage import Stage

RECORD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instructions.json")
TOLERANCE = 0.03
HEAP = re.compile(r"_int_(malloc|free|memalign|realloc)|unlink_chunk|malloc_consolidate|sysmalloc|systrim|(alloc|free)_perturb")
NAMES = ["W0", "W1", "W2", "W4", "W5", "W6", "X1", "N0"]
WARM, COUNTED = 300, 1000


class Counted(Proxy):
    """nginx under callgrind."""

    def run(self, command):
        self.out = os.path.join(self.stage.work, "callgrind")
        super().run(["valgrind", "--tool=callgrind", "--trace-children=yes", f"--callgrind-out-file={self.out}.%p", *command])

    def count(self, case):
        """Instructions of the worker for each request: without the allocator's insides, and all."""
        client.warm(case, WARM)
        self.control("--zero")
        client.warm(case, COUNTED)
        self.control("--dump")
        newest = max(glob.glob(f"{self.out}.{self.pid}.*"), key=lambda name: int(name.rpartition(".")[2]))
        counts = callgrind.instructions(newest)
        every = sum(counts.values()) / COUNTED
        return every - sum(count for name, count in counts.items() if HEAP.match(name)) / COUNTED, every

    def control(self, what):
        subprocess.run(["callgrind_control", what, str(self.pid)], check=True, timeout=60,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure(stage):
    module = [contender for contender in CONTENDERS if contender.name == "module"]
    chosen = cases(module, NAMES, stage.ports)
    proxy, upstream = Counted(module[0], chosen, stage), Upstream(stage)
    try:
        proxy.start()
        proxy.wait()
        check.answers([proxy])
        counts = {case.workload.name: proxy.count(case) for case in chosen}
    finally:
        proxy.stop()
        upstream.stop()
    bare = counts.pop("hello")
    return [{name: round(count[which] - bare[which]) for name, count in counts.items()} for which in (0, 1)]


def compare(counts, every, record):
    """The lines of a table, and whether all is well."""
    lines, well = [], True
    for name, count in counts.items():
        before = record.get(name)
        if before is None:
            lines.append(f"{name} {count:7}  not on record; with the allocator {every[name]}")
            continue
        change = count / before - 1
        over = change > TOLERANCE
        well = well and not over
        note = "  TOO MANY" if over else "  fewer: record them with RECORD=yes" if change < -TOLERANCE else ""
        lines.append(f"{name} {count:7}  on record {before:7}  {change:+6.1%}; with the allocator {every[name]}{note}")
    return lines, well


def main():
    parser = argparse.ArgumentParser(prog="instructions")
    for name in ("nginx", "module", "filters", "work"):
        parser.add_argument(f"--{name}", type=os.path.abspath, required=True)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    stage = Stage(options.work, options.filters, {"nginx": options.nginx}, {"wasm": options.module}, None)
    counts, every = measure(stage)
    if options.record:
        with open(RECORD, "w") as file:
            json.dump(counts, file, indent=4)
            file.write("\n")
    with open(RECORD) as file:
        lines, well = compare(counts, every, json.load(file))
    print("instructions of a filter per request:", *lines, sep="\n")
    if not well:
        print(f"error: more than {TOLERANCE:.0%} above bench/instructions.json. If that is what the change is worth:\n"
              "make bench-instructions RECORD=yes", file=sys.stderr)
    return 0 if well else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failure, OSError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
