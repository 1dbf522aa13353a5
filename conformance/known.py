"""The differences that are known and intended: known.json has the "rules" that leave out differences in all cases
(normal.py), each with its reason, and the "differences" of single cases, a list of

    {"cases": [name or pattern with *, …], "lines": [regular expression, …], "reason": text}

A line of a case's difference is explained if a pattern of an entry for that case matches it as a whole; it
begins with "-" for what Envoy did and with "+" for what nginx did."""

import fnmatch
import json
import re

from normal import RULES


class Known:
    def __init__(self, entries):
        self.entries = entries
        self.used = set()

    def unexplained(self, case, changed):
        rest = []
        for line in changed:
            for index, entry in enumerate(self.entries):
                if any(fnmatch.fnmatchcase(case, name) for name in entry["cases"]):
                    found = [p for p in entry["lines"] if re.fullmatch(p, line)]
                    if found:
                        self.used.update((index, pattern) for pattern in found)
                        break
            else:
                rest.append(line)
        return rest

    def unused(self):
        for index, entry in enumerate(self.entries):
            for pattern in entry["lines"]:
                if (index, pattern) not in self.used:
                    yield f"{', '.join(entry['cases'])}: {pattern}"


def load(path):
    with open(path, encoding="utf-8") as file:
        known = json.load(file)
    if set(known["rules"]) != RULES or not all(known["rules"].values()):
        raise SystemExit(f"conformance: error: {path}: not the rules of normal.py, with a reason each")
    entries = known["differences"]
    for entry in entries:
        if set(entry) != {"cases", "lines", "reason"} or not entry["reason"]:
            raise SystemExit(f"conformance: error: {path}: an entry has cases, lines and a reason: {entry}")
    return Known(entries)
