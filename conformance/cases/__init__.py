"""All cases, one file for each area: each has a list CASES."""

import importlib
import pkgutil


def load():
    cases = []
    for module in sorted(entry.name for entry in pkgutil.iter_modules(__path__)):
        cases += importlib.import_module(f"cases.{module}").CASES
    names = [case.name for case in cases]
    for name in names:
        if names.count(name) > 1:
            raise SystemExit(f"conformance: error: two cases are named {name}")
    return cases
