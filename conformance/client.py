"""The client of a case: one connection for each request."""

import socket
import time

from wire import Closed, Connection, values, message


def ask(port, request, patience, until=None):
    """Sends a request and reads the answer. `request`: {"method", "path", "headers", "body",
    "chunks", "trailers", "gap" (seconds between chunks), "raw", "leave" (when the server of
    this name has been asked: `until` waits for that)}."""
    method = request.get("method", "GET")
    seen = {"status": None, "headers": [], "body": [], "trailers": [], "end": "whole"}
    try:
        connection = Connection(socket.create_connection(("127.0.0.1", port), patience), patience)
    except OSError:
        seen["end"] = "refused"
        return seen
    try:
        for data in pieces(request, method):
            connection.send(data)
            time.sleep(request.get("gap", 0))
        if "leave" in request:
            until(request["leave"])
            seen["end"] = "left"
            return seen
        read(connection, seen, method)
    except Closed as closed:
        seen["end"] = closed.how
    except (ValueError, IndexError):
        seen["end"] = "malformed"
    finally:
        connection.close()
    return seen


def pieces(request, method):
    if "raw" in request:
        return request["raw"]
    names = [name.lower() for name, _ in request.get("headers", ())]
    fields = [] if "host" in names else [("host", "test.example")]
    # Envoy would add this one, nginx would not.
    fields += [("x-forwarded-proto", "http"), *request.get("headers", ())]
    first = f"{method} {request.get('path', '/')} HTTP/1.1"
    chunks = request.get("chunks")
    if chunks is None:
        return [message(first, fields, request.get("body", b""))]
    from wire import chunk, last_chunk

    head = "".join(f"{n}: {v}\r\n" for n, v in [*fields, ("transfer-encoding", "chunked")])
    return [
        f"{first}\r\n{head}\r\n".encode("latin-1"),
        *map(chunk, chunks),
        last_chunk(request.get("trailers", ())),
    ]


def read(connection, seen, method):
    while True:
        first, fields = connection.head()
        parts = first.split(" ", 2)
        seen["status"] = int(parts[1])
        seen["reason"] = parts[2] if len(parts) > 2 else ""
        if seen["status"] >= 200:
            break
    seen["headers"] = fields
    if method == "HEAD" or seen["status"] in (204, 304):
        return
    if "chunked" in values(fields, "transfer-encoding"):
        seen["trailers"] = connection.chunked(seen["body"])
    elif lengths := values(fields, "content-length"):
        left = int(lengths[0])
        while left:
            if not connection.buffer:
                connection.more()
            data = connection.take(min(left, len(connection.buffer)))
            seen["body"].append(data)
            left -= len(data)
    else:
        how = connection.until_closed(seen["body"])
        if how != "closed":
            seen["end"] = how
