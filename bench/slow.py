"""The server that H3 calls: `slow`, so many ms after each request.

    python slow.py PORT MS
"""

import asyncio
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nslow"


class Slow(asyncio.Protocol):
    """Requests without a body, one after the other."""

    def __init__(self, seconds):
        self.seconds, self.head = seconds, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.head += data
        while b"\r\n\r\n" in self.head:
            self.head = self.head.partition(b"\r\n\r\n")[2]
            asyncio.get_running_loop().call_later(self.seconds, self.transport.write, ANSWER)


async def main(port, seconds):
    server = await asyncio.get_running_loop().create_server(lambda: Slow(seconds), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]) / 1000))
