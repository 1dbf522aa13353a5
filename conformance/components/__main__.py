"""Sends the same requests to the same components on `wasmtime serve` and on this nginx, and compares what clients and upstreams see.

    python conformance/components --wasmtime FILE --nginx FILE --module FILE --filters DIRECTORY --work DIRECTORY [--show] [CASE...]

CASE is a case's name, or its beginning: `p2/echo`. Exit status: 0 if both do the same, but for the differences of known.json; 1 if not; 2 if a
server does not start.
"""

import argparse
import concurrent.futures
import json
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE]
sys.path += [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "scripts", "python")]

import client
import hosts
from cases import CASES
from known import Known
from ports import free_port
from upstream import Upstream

KNOWN = os.path.join(HERE, "known.json")
# What a server says of itself, or of its connection; nginx gives what has no type the default one. How the end of a body is told is the
# server's as well: nginx says the length of what is there at once. Whether all of the body has come is in the line "end".
OWN = {"date", "server", "connection", "keep-alive", "content-type", "content-length", "transfer-encoding"}


def run(case, port, dead):
    """A case on one server, as lines."""
    upstream = Upstream(case.upstream, hosts.PATIENCE)
    try:
        path = case.path.format(up=upstream.port, dead=dead)
        seen = client.ask(port, {**case.request, "path": path}, hosts.PATIENCE)
        return [line.replace(str(upstream.port), "(up)").replace(str(dead), "(dead)").replace(str(port), "(port)")
                for line in [*answered(seen), *asked(upstream)]]
    finally:
        upstream.stop()


def answered(seen):
    body = b"".join(seen["body"])
    page = seen["status"] in (500, 502, 504) and b"<html" in body.lower()
    if page and seen["status"] == 500 or seen["status"] is None or seen["end"] != "whole":
        # A status, or a response that is cut: whichever comes of it depends on whether something was sent before.
        yield "failed"
        return
    yield f"status {seen['status']}"
    for name, value in sorted(seen["headers"]):
        if name not in OWN:
            yield f"header {name}: {value}"
    # Error pages are each server's own.
    yield from (f"body {line}" for line in shown(b"(page)" if page else body))
    for name, value in seen["trailers"]:
        yield f"trailer {name}: {value}"


def shown(body):
    if len(body) > 3000:
        return [f"{len(body)} bytes of {sorted(set(body))}"]
    return body.decode("utf-8", "backslashreplace").splitlines()


def asked(upstream):
    for request in upstream.requests:
        yield f"asked {request['request']}"
        for name, value in sorted(request["headers"]):
            yield f"asked header {name}: {value}"
        yield from (f"asked body {line}" for line in shown(b"".join(request["body"])))


def run_all(cases, ports, dead):
    """Names → lines."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = pool.map(lambda one: run(one[1], ports[one[0]], dead), cases)
        return {f"{version}/{case.name}": lines for (version, case), lines in zip(cases, runs)}


def compare(theirs, ours):
    """The lines that only one of the two has: `-` those of `wasmtime serve`, `+` nginx's."""
    rest = list(ours)
    changed = []
    for line in theirs:
        if line in rest:
            rest.remove(line)
        else:
            changed.append(f"-{line}")
    return changed + [f"+{line}" for line in rest]


def report(cases, theirs, ours, options):
    with open(KNOWN, encoding="utf-8") as file:
        listed = Known(json.load(file))
    same, explained, differ = 0, 0, 0
    for name in theirs:
        changed = compare(theirs[name], ours[name])
        rest = listed.unexplained(name, changed)
        same, explained, differ = same + (not changed), explained + (bool(changed) and not rest), differ + bool(rest)
        if options.show:
            print(f"== {name}", *theirs[name], "-- nginx", *ours[name], sep="\n   ")
        for line in rest:
            print(f"components: {name}: {line}")
    unused = [] if options.case else list(listed.unused())
    for line in unused:
        print(f"components: known.json has what is no difference: {line}")
    print(f"components: {len(cases)} cases, {same} the same, {explained} known, {differ} differ (-: wasmtime serve, +: nginx)")
    return not differ and not unused


def main():
    parser = argparse.ArgumentParser(prog="conformance/components")
    for option in ("wasmtime", "nginx", "module", "filters", "work"):
        parser.add_argument(f"--{option}", required=True, type=os.path.abspath)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("case", nargs="*")
    options = parser.parse_args()
    cases = [(version, case) for case in CASES for version in case.versions]
    cases = [(version, case) for version, case in cases
             if not options.case or any(f"{version}/{case.name}".startswith(name) for name in options.case)]
    if not cases:
        sys.exit("conformance/components: error: no such case")
    shutil.rmtree(options.work, ignore_errors=True)
    os.makedirs(options.work)
    os.chmod(options.work, 0o755)
    dead = free_port()
    theirs, ours = ({version: free_port() for version in hosts.GUESTS} for _ in range(2))
    servers = []
    try:
        servers += [hosts.serve(options, version, port) for version, port in theirs.items()]
        servers.append(hosts.nginx(options, ours, dead))
        for server, port in zip(servers, [*theirs.values(), ours["p3"]]):
            server.wait(port)
        seen = [run_all(cases, ports, dead) for ports in (theirs, ours)]
    except hosts.HostFailure as failure:
        print(f"conformance/components: error: {failure}", file=sys.stderr)
        return 2
    finally:
        for server in servers:
            server.end()
    return 0 if report(cases, *seen, options) else 1


if __name__ == "__main__":
    sys.exit(main())
