"""A client that keeps its connections, and asks again as browsers do."""

import asyncio

from message import IDEMPOTENT, Lost

# Seconds for an answer; who waits longer hangs.
PATIENCE = 180
TRIES = 6


class Client:
    """`protocol` is Http1 or Http2. An HTTP/2 client may be asked many things at a time."""

    def __init__(self, protocol, port):
        self.protocol, self.port = protocol, port
        self.kept = None
        self.opening = asyncio.Lock()
        self.retries = 0

    async def ask(self, request, fresh=False):
        """The answer. A request that the server has refused to look at is asked again, and so is an
        idempotent one on a connection that had been used before and died without a word
        (RFC 9110, 9.2.2). `fresh`: on a connection of its own."""
        for _ in range(TRIES):
            one = await self.connection(fresh)
            used = one.requests > 0
            try:
                async with asyncio.timeout(PATIENCE):
                    return await one.ask(request)
            except Lost as lost:
                again = used and not lost.heard and request.method in IDEMPOTENT
                if not (lost.refused or again):
                    raise
                self.retries += 1
            except TimeoutError:
                one.close(reset=True)
                raise
            finally:
                if fresh:
                    one.close()
        raise Lost(f"refused {TRIES} times")

    async def connection(self, fresh):
        if fresh:
            return await self.protocol.connect(self.port)
        async with self.opening:
            if self.kept is None or not self.kept.open:
                self.kept = await self.protocol.connect(self.port)
            return self.kept

    def close(self):
        if self.kept:
            self.kept.close()
