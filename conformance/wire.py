"""HTTP/1.1 in bytes: what client and upstream have in common. Standard library only."""

import select
import socket


class Closed(Exception):
    """The peer closed or reset the connection, or said nothing in time."""

    def __init__(self, how):
        super().__init__(how)
        self.how = how


class Connection:
    """A socket with a buffer; every wait is bounded by `patience` seconds."""

    def __init__(self, sock, patience):
        self.sock = sock
        self.patience = patience
        self.buffer = b""
        # Does somebody wait for bytes, and how often has that ended?
        self.waiting, self.waits = False, 0
        sock.settimeout(patience)

    def quiet(self):
        """Does somebody wait for bytes, and are there none?"""
        waits, waiting = self.waits, self.waiting
        return waiting and not self._readable(0) and waits == self.waits

    def _readable(self, seconds):
        try:
            poll = select.poll()
            poll.register(self.sock, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        except (OSError, ValueError):
            # Closed meanwhile.
            return True

    def more(self):
        """Reads some bytes; raises `Closed` with "closed", "reset" or "timeout"."""
        self.waiting = True
        readable = self._readable(self.patience)
        # Before the bytes are taken, so that `quiet` sees either these or that.
        self.waits += 1
        self.waiting = False
        if not readable:
            raise Closed("timeout")
        try:
            data = self.sock.recv(65536)
        except socket.timeout:
            raise Closed("timeout") from None
        except OSError:
            raise Closed("reset") from None
        if not data:
            raise Closed("closed")
        self.buffer += data

    def take(self, count):
        while len(self.buffer) < count:
            self.more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def line(self):
        while b"\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("latin-1")

    def head(self):
        """The first line and the headers as a list of (name in lower case, value)."""
        first = self.line()
        return first, self.fields()

    def fields(self):
        fields = []
        while line := self.line():
            name, _, value = line.partition(":")
            fields.append((name.lower(), value.strip()))
        return fields

    def chunked(self, body):
        """Appends a chunked body to the list `body`; returns the trailers."""
        while size := int(self.line().split(";")[0], 16):
            body.append(self.take(size))
            self.line()
        return self.fields()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            raise Closed("reset") from None

    def until_closed(self, body=None):
        """How the peer ends the connection; bytes before that go to the list `body`."""
        try:
            while True:
                if body is not None and self.buffer:
                    body.append(self.buffer)
                self.buffer = b""
                self.more()
        except Closed as closed:
            return closed.how

    def close(self, reset=False):
        if reset:
            self.sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
            )
        self.sock.close()


def values(fields, name):
    return [value for key, value in fields if key == name]


def message(first, fields, body=b"", chunks=None, trailers=()):
    """The bytes of a message: with a length, or chunked where `chunks` is a list."""
    lines = [first] + [f"{name}: {value}" for name, value in fields]
    if chunks is None:
        if body or not first.startswith("GET"):
            lines.append(f"content-length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body
    lines.append("transfer-encoding: chunked")
    data = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return data + b"".join(map(chunk, chunks)) + last_chunk(trailers)


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def last_chunk(trailers=()):
    lines = "".join(f"{name}: {value}\r\n" for name, value in trailers)
    return b"0\r\n" + lines.encode("latin-1") + b"\r\n"
