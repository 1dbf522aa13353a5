"""Medians with their spread."""

import statistics


def spread(values):
    """Median and quartiles; quartiles of one value are the value itself."""
    values = list(values)
    if len(values) == 1:
        low = high = values[0]
    else:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": statistics.median(values), "q1": low, "q3": high}
