"""nginx's processes, as /proc shows them."""

import os
import re
from dataclasses import dataclass


@dataclass
class Usage:
    """`rss` in KiB; `fds` by kind; `maps`, the number of mappings."""
    rss: int
    fds: dict
    maps: int

    @property
    def descriptors(self):
        return sum(self.fds.values())

    def __str__(self):
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.fds.items()))
        return f"{self.rss} KiB, {self.descriptors} descriptors ({kinds}), {self.maps} mappings"


def usage(pid):
    """None where there is no such process any more."""
    try:
        with open(f"/proc/{pid}/status") as file:
            rss = re.search(r"VmRSS:\s+(\d+) kB", file.read())
        with open(f"/proc/{pid}/maps") as file:
            maps = sum(1 for _ in file)
        fds = {}
        for name in os.listdir(f"/proc/{pid}/fd"):
            # What has been closed meanwhile, a client's connection say, is none of them.
            if kind := kind_of(f"/proc/{pid}/fd/{name}"):
                fds[kind] = fds.get(kind, 0) + 1
        return Usage(int(rss[1]), fds, maps) if rss else None
    except (FileNotFoundError, ProcessLookupError):
        return None


def kind_of(link):
    try:
        target = os.readlink(link)
    except FileNotFoundError:
        return None
    for mark, kind in (("/memfd:", "memfd"), ("anon_inode:[eventfd]", "eventfd"), ("socket:", "socket"),
                       ("anon_inode:", "epoll"), ("pipe:", "pipe")):
        if target.startswith(mark):
            return kind
    return "temporary" if target.endswith(" (deleted)") else "file"


def children(pid):
    """The process numbers of those that have not exited."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            pids = [int(word) for word in file.read().split()]
    except FileNotFoundError:
        return []
    return [pid for pid in pids if alive(pid)]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
