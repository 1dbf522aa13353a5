"""One connection of the upstream: requests as they came, by the byte, and answers likewise."""

import asyncio
import itertools
import socket
import struct

numbers = itertools.count(1)


class Request:
    """A request: its raw bytes too, with the framing of its body."""

    def __init__(self, head):
        self.raw = head
        lines = head.decode("latin-1").split("\r\n")
        parts = lines[0].split(" ")
        self.method, self.path, self.version = (parts + ["", ""])[:3]
        self.headers = pairs(lines[1:])
        self.body = b""
        self.trailers = []
        self.framing = "none"

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name), None)


def pairs(lines):
    return [tuple(part.strip() for part in line.split(":", 1)) for line in lines if ":" in line]


class Connection:
    def __init__(self, kind, reader, writer):
        self.kind, self.reader, self.writer = kind, reader, writer
        self.number = next(numbers)
        self.requests = 0
        tls = writer.get_extra_info("ssl_object")
        self.sni = getattr(tls, "asked_name", None)
        self.alpn = tls and tls.selected_alpn_protocol()

    async def head(self):
        """The head of the next request; None where the connection has ended."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        self.requests += 1
        return Request(head)

    async def rest(self, request):
        """Reads the body and the trailers."""
        if (request.header("transfer-encoding") or "").lower() == "chunked":
            request.framing = "chunked"
            while size := int(await self.line(request), 16):
                chunk = await self.reader.readexactly(size + 2)
                request.raw += chunk
                request.body += chunk[:-2]
            lines = []
            while (line := (await self.line(request)).decode("latin-1").rstrip("\r\n")):
                lines.append(line)
            request.trailers = pairs(lines)
        elif length := request.header("content-length"):
            request.framing = "length"
            request.body = await self.reader.readexactly(int(length))
            request.raw += request.body

    async def line(self, request):
        line = await self.reader.readuntil(b"\r\n")
        request.raw += line
        return line

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self, seconds):
        """Does the other side close within so many seconds?"""
        try:
            return not await asyncio.wait_for(self.reader.read(1), seconds)
        except ConnectionError:
            return True
        except asyncio.TimeoutError:
            return False

    def reset(self):
        """Closes with RST, and drops what has not been sent."""
        if not self.writer.is_closing():
            raw = self.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self):
        self.writer.close()
