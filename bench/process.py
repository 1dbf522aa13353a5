"""Processes as /proc shows them."""

import os
import re


def children(pid):
    """The process numbers of those that have not exited."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def cpu(pid):
    """The CPU time of all threads of a process, in ns."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
            total += int(file.read().split()[0])
    return total


# Addresses that Wasmtime reserves behind a memory, at the least.
RESERVED = 1 << 30


def guests(pid):
    """What guests' memories have of a process's, in KiB."""
    with open(f"/proc/{pid}/smaps") as file:
        return reserved(file.read())


def reserved(smaps):
    """KiB that are written to in mappings, one behind the other, with a large range behind them which is reserved."""
    mappings, total, written, expected = [], 0, 0, None
    for line in smaps.splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) ", line):
            mappings.append([int(found[1], 16), int(found[2], 16), found[3], 0])
        elif found := re.match(r"Private_Dirty: +(\d+) kB", line):
            mappings[-1][3] = int(found[1])
    for start, end, access, dirty in mappings:
        if start != expected:
            written = 0
        if access == "---p":
            total += written if end - start >= RESERVED else 0
            written = 0
        else:
            written += dirty
        expected = end
    return total


def memory(pid):
    """RSS, PSS and private memory of a process, in KiB."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        sizes = {name: int(size) for name, size in re.findall(r"^(\w+):\s+(\d+) kB", file.read(), re.MULTILINE)}
    return {"rss": sizes["Rss"], "pss": sizes["Pss"], "private": sizes["Private_Clean"] + sizes["Private_Dirty"]}
