"""docs/performance.md: tables from a result between marks, and what is written by hand around them."""

import os
import re

import report
from failure import Failure

PARTS = {"machine": report.machine, "targets": report.targets, "cases": report.cases, "start": report.start, "memory": report.memory}
# By what of a result they are of.
OTHERS = {"plugins": {"plugin targets": report.plugin_targets, "plugins": report.plugins},
          "components": {"component targets": report.component_targets, "components": report.components}}


def write(result, docs):
    """Replaces what is between `<!-- bench NAME -->` and `<!-- end NAME -->`, for each name of PARTS and of OTHERS that there are figures for, and
    draws the plot."""
    path = os.path.join(docs, "performance.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    parts = PARTS if "cases" in result else {}
    for name, others in OTHERS.items():
        parts = parts | (others if name in result else {})
    for name, part in parts.items():
        text = replace(text, name, part(result))
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    if "cases" in result:
        # Not needed for anything else, so neither is its library.
        import plot

        plot.draw(result, os.path.join(docs, "performance.svg"))
    return path


def replace(text, name, part):
    marked = re.compile(rf"(<!-- bench {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    text, count = marked.subn(lambda found: f"{found[1]}\n{part}\n{found[2]}", text)
    if count != 1:
        raise Failure(f"performance.md has {count} places for {name}, not one")
    return text
