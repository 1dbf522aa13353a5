"""Checks a page of metrics with prometheus-client's parsers and prints what is on it.

    metrics.py text|openmetrics < page

One line for each family, `TYPE name type`, and for each sample, `name{label="value",...} number` with
labels sorted. What is wrong with the page goes to standard error, and the exit code is 1 then.
"""

import re
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
LABEL = NAME + r'="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"{NAME}(?:\{{{LABEL}(?:,{LABEL})*\}})? (?:-?[0-9]+|[0-9]+\.[0-9]+)")
COMMENT = re.compile(rf"# (HELP|TYPE|UNIT) ({NAME}) \S.*")


def check_lines(page):
    """What the parsers let pass."""
    if not page.endswith("\n"):
        raise ValueError("no newline at the end")
    comments, samples = set(), set()
    for line in page[:-1].split("\n"):
        if line == "# EOF":
            continue
        comment = COMMENT.fullmatch(line)
        if comment:
            if comment.groups() in comments:
                raise ValueError("twice: " + line)
            comments.add(comment.groups())
        elif not SAMPLE.fullmatch(line):
            raise ValueError("invalid line: " + line)
        elif line.rsplit(" ", 1)[0] in samples:
            raise ValueError("twice: " + line)
        else:
            samples.add(line.rsplit(" ", 1)[0])


def main():
    page = sys.stdin.buffer.read().decode("utf-8")
    check_lines(page)
    families = list({"text": prometheus, "openmetrics": openmetrics}[sys.argv[1]](page))
    series, names = set(), set()
    for family in families:
        if family.type in ("unknown", "untyped"):
            raise ValueError("no type: " + family.name)
        if family.name in names:
            raise ValueError("family twice: " + family.name)
        names.add(family.name)
        print("TYPE", family.name, family.type)
        for sample in family.samples:
            labels = ",".join(f"{key}={value!r}" for key, value in sorted(sample.labels.items()))
            labels = re.sub(r"'|(\\')", '"', labels)
            key = sample.name + (f"{{{labels}}}" if labels else "")
            if key in series:
                raise ValueError("series twice: " + key)
            series.add(key)
            value = float(sample.value)
            print(key, int(value) if value.is_integer() else value)


try:
    main()
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
