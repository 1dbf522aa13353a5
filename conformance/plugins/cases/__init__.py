"""All cases, one file for each area: each has a list CASES."""

from cases import hello, http, kernel, limits, manifest, results, state, wapc

CASES = [case for area in (hello, results, state, kernel, limits, http, manifest, wapc) for case in area.CASES]
