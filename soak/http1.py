"""HTTP/1.1: a connection, one request at a time."""

import asyncio

from message import Answer, Left, Lost

LIMIT = 1 << 20


class Http1:
    """`open`: it can take another request."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.open = True
        self.requests = 0

    @classmethod
    async def connect(cls, port):
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=LIMIT))

    async def ask(self, request):
        self.requests += 1
        self.heard = False
        try:
            self.writer.write(encode(request))
            if request.leave is None:
                return await self.answer()
            await asyncio.wait_for(self.answer(), request.leave)
            raise Left
        except (TimeoutError, Left):
            self.close(reset=True)
            raise Left from None
        except asyncio.IncompleteReadError as error:
            self.heard |= bool(error.partial)
            self.close()
            raise Lost("closed", self.heard) from None
        except OSError as error:
            self.close()
            raise Lost(type(error).__name__, self.heard) from None
        except BaseException:
            self.close()
            raise

    async def answer(self):
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.heard = True
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers.setdefault(name.lower(), []).append(value.strip())
        status = int(first.split(" ")[1])
        last = headers.get("connection") == ["close"]
        if status in (204, 304):
            body = b""
        elif headers.get("transfer-encoding") == ["chunked"]:
            body = await self.chunks()
        elif "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"][0]))
        else:
            body, last = await self.reader.read(-1), True
        if last:
            self.close()
        return Answer(status, headers, body)

    async def chunks(self):
        parts = []
        while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
            parts.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        while await self.reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return b"".join(parts)

    def close(self, reset=False):
        self.open = False
        self.writer.transport.abort() if reset else self.writer.close()


def encode(request):
    lines = [f"{request.method} {request.path} HTTP/1.1", "host: soak"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    if request.body or request.method == "POST":
        lines.append(f"content-length: {len(request.body) + request.withheld}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + request.body
