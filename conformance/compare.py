"""Compares what was seen on the two proxies, and prints it."""

import difflib


def compare(cases, results, listed):
    """[(case, lines of its difference, those that known.json does not explain)]"""
    out = []
    for case in cases:
        theirs, ours = results["envoy"][case.name], results["nginx"][case.name]
        whole = difflib.unified_diff(theirs, ours, lineterm="", n=len(ours) + len(theirs))
        lines = [line for line in whole if not line.startswith(("---", "+++", "@@"))] or [f" {line}" for line in ours]
        rest = listed.unexplained(case.name, [line for line in lines if line[0] in "+-"])
        out.append((case, lines, rest))
    return out


def report(compared, listed, seconds, show_all, whole):
    """Prints the differences; the exit status. `whole`: all cases were run."""
    unknown = agreed = 0
    for case, lines, rest in compared:
        same = all(line[0] == " " for line in lines)
        agreed += same
        unknown += bool(rest)
        if rest or show_all:
            print(f"== {case.name}" + (": the same" if same else ""))
            for line in lines:
                known = line[0] != " " and line not in rest
                print(f"   {line[0]} {line[1:]}" + ("   (known)" if known else ""))
    if whole:
        for entry in listed.unused():
            print(f"-- listed in known.json, and no longer so: {entry}")
    print(f"conformance: {len(compared)} cases: {agreed} the same, {len(compared) - agreed - unknown} differ as listed "
          f"in known.json, {unknown} differ (-: Envoy, +: nginx); {seconds:.0f} s")
    return 1 if unknown else 0


def show(cases, results):
    for case in cases:
        print(f"== {case.name}")
        for line in results[case.name]:
            print(f"   {line}")
