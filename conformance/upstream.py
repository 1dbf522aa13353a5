"""The upstream of a case: it answers as its script says and notes what it was asked.

A script is a list of steps, run for each request once it has come in as a whole (but see "early"):

    ("send", bytes)     sends them; `{method}` and the like are not replaced
    ("wait", seconds)   says nothing for so long
    ("over",)           says nothing until the client has its answer, or has left
    ("close",)          closes, ("reset",) resets the connection
    ("hold",)           waits until the proxy closes
    ("early",)          as the first step: the script runs when the head has come

Without a script it echoes: `200`, headers `x-up: 1`, `server: upstream`, a date, and a body of the
request line and the body.
"""

import socket
import threading
import time

from wire import Closed, Connection, values

DATE = "Mon, 01 Jan 2024 00:00:00 GMT"


class Upstream:
    """Serves one port of the loopback until it is stopped."""

    def __init__(self, script=None, patience=180):
        self.script = script
        self.patience = patience
        self.requests = []
        self.connections = {}
        self.ended = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self.listener.close()

    def over(self):
        """The client has its answer, or has left."""
        self.ended.set()

    def quiet(self):
        """Is all that has been sent here read and answered?"""
        with socket.create_connection(("127.0.0.1", self.port), self.patience) as probe:
            # Connections are accepted in their order: those before this one are known then.
            while probe.getsockname() not in self.connections:
                time.sleep(0.005)
            return all(connection.quiet() for connection in list(self.connections.values()))

    def _accept(self):
        while True:
            try:
                sock, peer = self.listener.accept()
            except OSError:
                return
            self.connections[peer] = Connection(sock, self.patience)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        connection = self.connections[peer]
        try:
            while True:
                self._one(connection)
        except (Closed, ValueError):
            pass
        finally:
            del self.connections[peer]
            connection.close()

    def _one(self, connection):
        first, fields = connection.head()
        body = []
        seen = {"request": first, "headers": fields, "body": body, "trailers": [], "end": "whole"}
        self.requests.append(seen)
        script = self.script
        if callable(script):
            script = script(first)
        early = bool(script) and script[0] == ("early",)
        if early:
            threading.Thread(target=self._body, args=(connection, seen), daemon=True).start()
            script = script[1:]
        else:
            self._body(connection, seen)
            if seen["end"] != "whole":
                raise Closed(seen["end"])
        self._answer(connection, seen, script)

    def _body(self, connection, seen):
        fields, body = seen["headers"], seen["body"]
        try:
            if "chunked" in values(fields, "transfer-encoding"):
                seen["trailers"] = connection.chunked(body)
            else:
                for length in values(fields, "content-length"):
                    body.append(connection.take(int(length)))
        except Closed as closed:
            seen["end"] = closed.how

    def _answer(self, connection, seen, script):
        if script is None:
            script = [("send", echo(seen))]
        for step, *argument in script:
            if step == "send":
                connection.send(argument[0])
            elif step == "wait":
                time.sleep(argument[0])
            elif step == "over":
                self.ended.wait(self.patience)
            elif step == "hold":
                seen["end"] = connection.until_closed()
            elif step in ("close", "reset"):
                connection.close(reset=step == "reset")
                raise Closed("closed")
            else:
                raise ValueError(f"no such step: {step}")


def echo(seen):
    body = seen["request"].rsplit(" ", 1)[0].encode("latin-1") + b"\n" + b"".join(seen["body"])
    return answer(body, method=seen["request"].split(" ")[0])


def answer(body, status="200 OK", headers=(("x-up", "1"),), method="GET"):
    """A whole response with a length."""
    fields = [("server", "upstream"), ("date", DATE), *headers, ("content-length", len(body))]
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1") + (b"" if method == "HEAD" else body)


def chunked(parts, trailers=(), headers=(("x-up", "1"),), gap=0.1):
    """The steps of a chunked response, a pause of `gap` seconds behind the head and each part."""
    fields = [("server", "upstream"), ("date", DATE), *headers, ("transfer-encoding", "chunked")]
    if trailers:
        fields.append(("trailer", ", ".join(name for name, _ in trailers)))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    steps = [("send", f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode("latin-1"))]
    for part in parts:
        steps += [("wait", gap), ("send", b"%x\r\n%s\r\n" % (len(part), part))]
    ends = "".join(f"{name}: {value}\r\n" for name, value in trailers)
    return steps + [("wait", gap), ("send", b"0\r\n" + ends.encode("latin-1") + b"\r\n")]
