"""Takes a proxy with the guest of guest.wat through all states, and tells what the guest was answered in each.

    drive.py PORT UPSTREAM_PORT LOG [nginx]

PORT: the proxy, whose log LOG is. UPSTREAM_PORT: the one that it sends requests and the call to, which this program serves.
With `nginx` there are also the locations /none (444), /large (413) and /sub (a subrequest).
"""

import re
import socket
import sys
import threading
import time

ROW = re.compile(r"\b([a-z_]+) (get=\S+ pairs=\S+ size=\S+ bytes=\S+ len=\S+ prop=\S+ add=\S+ replace=\S+ remove=\S+ set=\S+ write=[0-9:;<-]+)")
WAIT = 180
BIG = b"x" * 1_000_000

# State, path, mode, what is sent behind the head (with its header lines), and the callback that comes last.
POST = (b"Content-Length: 5\r\n", b"hello")
NOTHING = (b"", b"")
STATES = [
    ("a response", "/", "-", POST, "delete"),
    ("trailers", "/trailers", "-", NOTHING, "delete"),
    ("paused for a call", "/", "c", NOTHING, "delete"),
    ("paused until a tick", "/", "t", POST, "delete"),
    ("response paused until a tick", "/", "r", NOTHING, "delete"),
    ("end of the body paused until a tick", "/big", "b", NOTHING, "delete"),
    ("waits for proxy_done", "/", "d", NOTHING, "delete"),
    ("a local response", "/", "l", NOTHING, "delete"),
    ("a message in a queue", "/", "q", NOTHING, "queue_ready"),
    ("the client leaves", "/slow", "-", NOTHING, "delete"),
    ("a chunk that is none", "/", "-", (b"Transfer-Encoding: chunked\r\n", b"x\r\n"), "delete"),
]
NGINX = [
    ("closed without a response", "/none", "-", NOTHING, "delete"),
    ("a body that is too large", "/large", "-", (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"), "delete"),
    ("a subrequest", "/sub", "-", NOTHING, "delete"),
]


def upstream(port):
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def serve(peer):
    """Answers one request; /slow never."""
    text = b""
    while b"\r\n\r\n" not in text:
        piece = peer.recv(65536)
        if not piece:
            return
        text += piece
    if b" /slow" in text:
        peer.recv(1)
    elif b" /trailers" in text:
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-t\r\n\r\n2\r\nok\r\n0\r\nx-t: 1\r\n\r\n")
    else:
        body = BIG if b" /big" in text else b"ok"
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    peer.close()


def rows(log, start):
    with open(log, "rb") as file:
        file.seek(start)
        return ROW.findall(file.read().decode(errors="replace"))


def wait(what, log, start, *callbacks):
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        seen = rows(log, start)
        if all(callback in [name for name, _ in seen] for callback in callbacks):
            return seen
        time.sleep(0.02)
    sys.exit(f"{what}: no {callbacks} in {seen}")


def size(log):
    with open(log, "rb") as file:
        return file.seek(0, 2)


def drive(port, log, more):
    """Yields state, callback and statuses; a callback that was made again with the same ones comes once."""
    start = wait("start", log, 0, "configure")
    yield from (("start", *row) for row in dict.fromkeys(start) if row[0] in ("vm_start", "configure"))
    for state, path, mode, (lines, body), last in STATES + more:
        before = size(log)
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as client:
            head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE, close\r\nx-mode: {mode}\r\n"
            client.sendall(head.encode() + lines + b"\r\n" + body)
            if path == "/slow":
                wait(state, log, before, "request_headers")
            else:
                while client.recv(65536):
                    pass
        for name, statuses in dict.fromkeys(wait(state, log, before, "delete", last)):
            yield state, name, statuses


def main():
    port, up, log, *names = sys.argv[1:]
    threading.Thread(target=upstream, args=(int(up),), daemon=True).start()
    for row in drive(int(port), log, NGINX if names else []):
        print("\t".join(row), flush=True)


if __name__ == "__main__":
    main()
