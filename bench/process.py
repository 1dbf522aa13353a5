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


def memory(pid):
    """RSS, PSS and private memory of a process, in KiB."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        sizes = {name: int(size) for name, size in re.findall(r"^(\w+):\s+(\d+) kB", file.read(), re.MULTILINE)}
    return {"rss": sizes["Rss"], "pss": sizes["Pss"], "private": sizes["Private_Clean"] + sizes["Private_Dirty"]}
