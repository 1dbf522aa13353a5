"""What two runs of a case have in common, and what not; what was recorded."""

import json


def plain(run):
    """A run as a value of JSON."""
    return {"load": run.load, "calls": [seen.plain() for seen in run.calls], "log": run.log, "upstream": run.upstream}


def differences(one, other):
    """Lines for what differs between two plain runs. What is None in a call of either was not to be seen there."""
    lines = []
    for part in ("load", "log", "upstream"):
        if one[part] != other[part]:
            lines.append(f"{part}: {one[part]!r}, {other[part]!r}")
    if len(one["calls"]) != len(other["calls"]):
        return [*lines, f"{len(one['calls'])} calls, {len(other['calls'])}"]
    for number, (a, b) in enumerate(zip(one["calls"], other["calls"]), 1):
        for part in a:
            if None not in (a[part], b[part]) and a[part] != b[part]:
                lines.append(f"call {number}, {part}: {a[part]!r}, {b[part]!r}")
    return lines


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write(path, runs):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(runs, file, ensure_ascii=False, indent=1)
        file.write("\n")
