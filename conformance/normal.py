"""What was seen as lines of text, without what is each proxy's own manner. The rules are listed with
their reasons in known.json, like the differences of single cases."""

import re

RULES = {"own headers", "framing", "error pages", "response count", "pieces of bodies", "life of contexts", "numbers", "debug lines"}

# own headers: set or changed by the proxies themselves.
CLIENT = {"date", "server", "connection", "keep-alive", "transfer-encoding", "x-envoy-upstream-service-time"}
UPSTREAM = {"connection", "transfer-encoding", "x-envoy-internal", "x-envoy-expected-rq-timeout-ms",
            "x-request-id", "x-forwarded-proto", "user-agent", "te"}
# error pages: the proxies' own answers.
ENVOY_PAGE = re.compile(
    rb"^(upstream connect error|upstream request timeout|no healthy upstream|invalid header name|$)"
)
NGINX_PAGE = re.compile(rb"<hr><center>nginx")


def lines(case, seen):
    """All that was seen in a case, one fact a line."""
    out = []
    if "client" in case.compare:
        for number, answer in enumerate(seen["client"], 1):
            out += client(f"client {number}", answer)
    for name in [name for name in seen if name not in ("client", "start", "log")]:
        if name in case.compare or name not in ("up", "side"):
            out += upstream(name, seen[name], case)
    if case.start:
        out += log("start", start(seen["start"]), case)
    if "log" in case.compare:
        out += log("log", seen["log"], case)
    return out


def client(name, answer):
    if answer["end"] == "left":
        return [f"{name}: left"]
    if answer["status"] is None:
        return [f"{name}: no answer, {answer['end']}"]
    body = b"".join(answer["body"])
    skip = set(CLIENT)
    if answer["status"] >= 400 and (NGINX_PAGE.search(body) or ENVOY_PAGE.match(body)):
        body = b""
        skip |= {"content-type", "content-length"}
    return [
        f"{name}: status {answer['status']}",
        *fields(name, answer["headers"], skip, len(body) if answer["end"] == "whole" else None),
        *([f"{name}: body {shown(body)}"] if body else []),
        *sorted(f"{name}: trailer {key}: {value}" for key, value in answer["trailers"]),
        *([f"{name}: end {answer['end']}"] if answer["end"] != "whole" else []),
    ]


def upstream(name, requests, case):
    out = []
    for number, seen in enumerate(requests, 1):
        where = f"{name} {number}"
        body = b"".join(seen["body"])
        out.append(f"{where}: {seen['request']}")
        out += fields(where, seen["headers"], UPSTREAM, len(body))
        if body:
            out.append(f"{where}: body {shown(body)}")
        out += sorted(f"{where}: trailer {key}: {value}" for key, value in seen["trailers"])
        if seen["end"] != "whole":
            out.append(f"{where}: end {seen['end']}")
    return [line.replace(case.id, "case") for line in out]


def shown(body):
    return repr(body) if len(body) < 400 else f"{len(body)} bytes, {body[:40]!r}…{body[-40:]!r}"


def fields(name, pairs, skip, length):
    """framing: a content-length that agrees with the body says nothing."""
    return sorted(
        f"{name}: header {key}: {value}"
        for key, value in pairs
        if key not in skip and (key, value) != ("content-length", str(length))
    )


def start(entries):
    """The lines of the last instance: both proxies start several, one to check and one for each worker."""
    starts = [i for i, (_, _, message) in enumerate(entries) if message.startswith("on_context_create id=1 ")]
    return entries[starts[-1]:] if starts else entries


# numbers
NUMBER = re.compile(r"^((?:(?:increment|record|get)_metric|enqueue|dequeue) |on_queue_ready id=\d+ queue=)\d+")
LEVEL = {"warning": "warn", "critical": "crit"}
# response count
COUNT = re.compile(r"^(on_response_headers|on_http_call_response|on_grpc_\w+metadata)( .*)\b(count|headers)=[1-9]\d*")
# life of contexts
CREATE = re.compile(r"^on_context_create id=(\d+) parent=[1-9]\d*$")
END = re.compile(r"^on_(done|log|delete) id=(\d+)$")
OWN = re.compile(r"^(?:#\d+ <- |response )?(connection|server|date|content-length)[:=]")


def log(name, entries, case):
    out = []
    ended = {}
    for vm, level, message in join_pieces(entries):
        if level in ("debug", "trace"):
            continue
        message = COUNT.sub(r"\1\2\3=*", message).replace(case.id, "case")
        message = NUMBER.sub(r"\1*", message)
        if found := CREATE.match(message):
            ended.setdefault((vm, found[1]), []).append("create")
            continue
        if found := END.match(message):
            ended.setdefault((vm, found[2]), []).append(found[1])
            if found[1] != "delete":
                continue
            message = f"context {found[2]} ends: {' '.join(sorted(ended[vm, found[2]]))}"
        level = LEVEL.get(level, level)
        mark = "" if level == "info" else f"[{level}] "
        out.append(f"{name} {vm}: {mark}{message}")
    if case.order == "sorted":
        return sorted(line for line in out if not OWN.match(line.partition(": ")[2]))
    return out


BODY = re.compile(r"^(on_(?:request|response)_body id=\d+) size=(\d+) eos=(\w+)$")


def join_pieces(entries):
    """pieces of bodies: calls one behind the other, without anything that the guest did in between, become one
    with the size of them all."""
    out = []
    pieces = {}
    for vm, level, message in entries:
        found = BODY.match(message)
        piece = found and (found[1], int(found[2]), found[3])
        no_more = piece and piece[1] == 0 and piece[2] in ("false", "0")
        if piece and not no_more and vm in pieces and pieces[vm][1][0] == piece[0]:
            pieces[vm][2].append(piece)
            continue
        if piece:
            pieces[vm] = (len(out), piece, [piece])
            out.append(None)
            if no_more:
                del pieces[vm]
                out[-1] = (vm, level, message)
        else:
            pieces.pop(vm, None)
            out.append((vm, level, message))
            continue
        if not no_more:
            out[-1] = (vm, level, pieces[vm][2])
    return [
        entry if isinstance(entry[2], str) else (entry[0], entry[1], joined(entry[2])) for entry in out
    ]


def joined(pieces):
    sizes = [size for _, size, _ in pieces]
    # Held bodies are told with all that is there so far; the last call may only tell the end.
    grown = all(a < b for a, b in zip(sizes, sizes[1:-1])) and (
        len(sizes) < 2 or sizes[-2] < sizes[-1] or (sizes[-2] == sizes[-1] and pieces[-1][2] in ("true", "1"))
    )
    size = sizes[-1] if grown else sum(sizes)
    return f"{pieces[0][0]} size={size} eos={pieces[-1][2]}"
