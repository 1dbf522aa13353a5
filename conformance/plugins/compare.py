"""What two runs of a case have in common, and what not; what was recorded."""

import json

# Headers that HTTP clients send by themselves.
OWN = {"accept", "accept-encoding", "connection", "user-agent"}
FRAMING = {"content-length", "transfer-encoding"}


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


def for_nginx(run, case):
    """A plain run without what cannot be the same in nginx: the words for a plugin that is refused and for a trap, the headers that the client
    of each host sends by itself, and how it frames a body that is empty."""
    own = OWN - {name.lower() for name in case.sent_headers()}
    calls = [{**call, "error": None if (call["error"] or "").startswith("error while executing") else call["error"]} for call in run["calls"]]
    upstream = [[line, [one for one in headers if one[0] not in (own if body else own | FRAMING)], body] for line, headers, body in run["upstream"]]
    return {**run, "load": run["load"] and "refused", "calls": calls, "upstream": upstream}


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write(path, runs):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(runs, file, ensure_ascii=False, indent=1)
        file.write("\n")
