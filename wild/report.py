"""Results as lines and as a table."""

import re

from case import Failure


def line(tried, case, problem):
    return "\n".join([f"{'FAIL' if problem else 'ok  '} {tried.name}: {case.name}", *(f"     {one}" for one in problem)])


def table(results):
    lines = ["| filter | version | source | language | what was tried | result | needs |", "|---|---|---|---|---|---|---|"]
    filters = list(dict.fromkeys(tried for tried, _, _ in results))
    for one in filters:
        mine = [(case, problem) for tried, case, problem in results if tried is one]
        good, bad = ([case.name for case, problem in mine if bool(problem) is wrong] for wrong in (False, True))
        result = f"{len(good)} of {len(mine)}" + (f"; not: {', '.join(bad)}" if bad else "")
        needs = dict.fromkeys(filter(None, [one.parameters, *(case.needs for case, _ in mine)]))
        cells = [one.name, one.version, one.source, one.language, "; ".join(case.name for case, _ in mine), result,
                 ", ".join(f"`{need}`" for need in needs)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def write(results, path):
    """Replaces what is between `<!-- wild -->` and `<!-- end wild -->`."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    good = sum(not problem for _, _, problem in results)
    part = f"\n{table(results)}\n{good} of {len(results)} cases work.\n\n"
    text, count = re.subn(r"(<!-- wild -->\n).*?(<!-- end wild -->)", lambda found: f"{found[1]}{part}{found[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise Failure(f"{path} has {count} places for the table, not one")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
