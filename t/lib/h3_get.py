"""An HTTP/3 client that is strict about what comes: h3_get.py PORT PATH...

All requests go over one connection, one after the other. A line for each: path, status, names of header lines, body, names
of trailers; or how the stream or the connection ended."""

import asyncio
import ssl
import sys

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamReset

PATIENCE = 120


class Client(QuicConnectionProtocol):
    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.http = H3Connection(self._quic)
        self.heads, self.body, self.end = [], b"", None

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            self.ended(f"closed {event.error_code:#x} {event.reason_phrase}")
        elif isinstance(event, StreamReset):
            self.ended(f"reset {event.error_code:#x}")
        for event in self.http.handle_event(event):
            if isinstance(event, HeadersReceived):
                self.heads.append(event.headers)
            elif isinstance(event, DataReceived):
                self.body += event.data
            if getattr(event, "stream_ended", False):
                self.ended("")

    def ended(self, how):
        if self.end and not self.end.done():
            self.end.set_result(how)

    async def get(self, path):
        self.heads, self.body = [], b""
        self.end = asyncio.get_running_loop().create_future()
        stream = self._quic.get_next_available_stream_id()
        pairs = {":method": "GET", ":scheme": "https", ":authority": "h3.example", ":path": path}
        self.http.send_headers(stream, [(k.encode(), v.encode()) for k, v in pairs.items()], end_stream=True)
        self.transmit()
        try:
            how = await asyncio.wait_for(self.end, PATIENCE)
        except asyncio.TimeoutError:
            how = "waits"
        head, *trailers = self.heads or [[]]
        names = [k.decode() for k, _ in head if not k.startswith(b":")]
        lines = [dict(head).get(b":status", b"none").decode(), names, self.body.decode(), [k.decode() for t in trailers for k, _ in t]]
        status, names, body, trailers = lines
        print(path, status, f"[{' '.join(names)}]", f"[{body}]", f"[{' '.join(trailers)}]", *filter(None, [how]), flush=True)


async def main(port, paths):
    conf = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE, server_name="h3.example")
    async with connect("127.0.0.1", int(port), configuration=conf, create_protocol=Client) as client:
        for path in paths:
            await client.get(path)


asyncio.run(main(sys.argv[1], sys.argv[2:]))
