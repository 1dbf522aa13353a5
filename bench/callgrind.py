"""What valgrind's callgrind has written: instructions by function."""

import re

NAME = re.compile(r"\((\d+)\)(?: (.*))?")


def instructions(path):
    """Instructions of each function by itself, without those that it calls."""
    names, counts, function, of_call = {}, {}, None, False
    with open(path, errors="replace") as file:
        for line in file:
            if line.startswith(("fn=", "cfn=")):
                kind, _, text = line.rstrip("\n").partition("=")
                name = named(names, text)
                function = name if kind == "fn" else function
            elif line.startswith("calls="):
                # The next line has what the called function has taken.
                of_call = True
            elif line[0].isdigit() or line[0] in "+-*":
                if not of_call:
                    counts[function] = counts.get(function, 0) + int(line.split()[1])
                of_call = False
    return counts


def named(names, text):
    """A name is written once, and its number from then on."""
    found = NAME.fullmatch(text)
    if not found:
        return text
    if found[2] is not None:
        names[found[1]] = found[2]
    return names[found[1]]
