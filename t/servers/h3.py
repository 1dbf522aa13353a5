#!/usr/bin/env python3
"""An HTTP/3 client for tests (aioquic), driven by lines on standard input.

    h3.py PORT

One command a line, each a JSON array; one JSON value is written for each. The connection is to 127.0.0.1 and any
certificate is good. NAME tells streams apart.

    ["request", NAME, METHOD, PATH, {HEADER: VALUE}, END]   begins a request; END: without a body. ":authority" may be
                                                            among the headers. Answers true
    ["data", NAME, TEXT, TIMES, END]                        sends TEXT so many times. Answers true; false
                                                            when the server wants no more of it
    ["trailers", NAME, {HEADER: VALUE}]                     ends a request with trailers. Answers true
    ["reset", NAME]                                         resets the request and wants no response. Answers true
    ["wait", NAME]                                          waits for the end of the response. Answers
        {"status", "headers", "length", "sha256", "body" (the first 2,000 bytes), "trailers", "ended", "reset"}
    ["head", NAME]                                          waits for the response's header. Answers its status

At most 30 seconds are waited for anything; then the answer is {"error": ...}.
"""
import asyncio
import hashlib
import json
import ssl
import sys

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamReset

PATIENCE = 120


class Stream:
    def __init__(self, number):
        self.number, self.status, self.headers, self.trailers = number, None, {}, {}
        self.body, self.ended, self.reset = bytearray(), False, None
        self.head, self.over = asyncio.Event(), asyncio.Event()

    def result(self):
        return {'status': self.status, 'headers': self.headers, 'length': len(self.body), 'sha256': hashlib.sha256(self.body).hexdigest(),
                'body': self.body[:2000].decode('latin-1'), 'trailers': self.trailers, 'ended': self.ended, 'reset': self.reset}


class Client(QuicConnectionProtocol):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.http, self.streams, self.names = H3Connection(self._quic), {}, {}

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            for stream in self.streams.values():
                if not stream.over.is_set():
                    stream.reset = f'connection {event.error_code:#x} {event.reason_phrase}'
                    stream.head.set()
                    stream.over.set()
            return
        if isinstance(event, StreamReset) and event.stream_id in self.streams:
            stream = self.streams[event.stream_id]
            stream.reset = hex(event.error_code)
            stream.head.set()
            stream.over.set()
        for part in self.http.handle_event(event):
            stream = self.streams.get(getattr(part, 'stream_id', None))
            if stream is None:
                continue
            if isinstance(part, HeadersReceived):
                headers = {k.decode(): v.decode('latin-1') for k, v in part.headers}
                if ':status' in headers:
                    stream.status = int(headers.pop(':status'))
                    stream.headers = headers
                    if stream.status >= 200:
                        stream.head.set()
                else:
                    stream.trailers = headers
            elif isinstance(part, DataReceived):
                stream.body += part.data
            if part.stream_ended:
                stream.ended = True
                stream.head.set()
                stream.over.set()

    async def run(self, command, name, *rest):
        if command == 'request':
            method, path, headers, end = rest
            stream = Stream(self._quic.get_next_available_stream_id())
            self.names[name] = self.streams[stream.number] = stream
            headers = dict(headers)
            authority = headers.pop(':authority', 'localhost')
            lines = [(':method', method), (':scheme', 'https'), (':authority', authority), (':path', path), *headers.items()]
            self.http.send_headers(stream.number, [(k.encode(), v.encode('latin-1')) for k, v in lines], end_stream=end)
        elif command == 'data':
            text, times, end = rest
            try:
                self.http.send_data(self.names[name].number, text.encode('latin-1') * times, end_stream=end)
            except Exception:
                # The server has stopped the stream.
                return False
        elif command == 'trailers':
            self.http.send_headers(self.names[name].number, [(k.encode(), v.encode()) for k, v in rest[0].items()], end_stream=True)
        elif command == 'reset':
            self._quic.reset_stream(self.names[name].number, 0x10c)
            self._quic.stop_stream(self.names[name].number, 0x10c)
        elif command == 'wait':
            await asyncio.wait_for(self.names[name].over.wait(), PATIENCE)
            return self.names[name].result()
        elif command == 'head':
            await asyncio.wait_for(self.names[name].head.wait(), PATIENCE)
            return self.names[name].status
        self.transmit()
        return True


async def main(port):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE, server_name='localhost')
    loop = asyncio.get_running_loop()
    async with connect('127.0.0.1', port, configuration=configuration, create_protocol=Client) as client:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            try:
                answer = await client.run(*json.loads(line))
            except Exception as error:
                answer = {'error': f'{type(error).__name__} {error}'}
            print(json.dumps(answer), flush=True)


asyncio.run(main(int(sys.argv[1])))
