"""HTTP/2 without TLS, the client knowing beforehand: a connection, many requests at a time."""

import asyncio

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from message import Answer, Left, Lost

NO_ERROR, CANCEL, REFUSED = 0, 8, 7
# The type of its frame.
GOAWAY = 7
# The event loop keeps no tasks itself.
READERS = set()


class Stream:
    def __init__(self):
        self.answer = Answer(0)
        self.parts = []
        self.heard = False
        self.result = asyncio.get_running_loop().create_future()
        self.window = asyncio.Event()

    def end(self):
        if not self.result.done():
            self.answer.body = b"".join(self.parts)
            self.result.set_result(self.answer)

    def fail(self, reason, refused=False):
        if not self.result.done():
            self.result.set_exception(Lost(reason, self.heard, refused))


class Http2:
    """`open`: it can take another request. `requests`: how many it has had."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="latin-1"))
        self.streams = {}
        self.open = True
        self.requests = 0
        self.rest = b""
        self.last_word = "without GOAWAY"
        self.h2.initiate_connection()

    @classmethod
    async def connect(cls, port):
        one = cls(*await asyncio.open_connection("127.0.0.1", port))
        READERS.add(task := asyncio.create_task(one.read()))
        task.add_done_callback(READERS.discard)
        return one

    async def ask(self, request):
        self.requests += 1
        stream = Stream()
        number = self.h2.get_next_available_stream_id()
        self.streams[number] = stream
        try:
            self.h2.send_headers(number, [
                (":method", request.method), (":scheme", "http"), (":path", request.path),
                (":authority", "soak"), *request.headers], end_stream=not request.body)
            if request.body:
                sending = asyncio.create_task(self.send_body(number, stream, request))
                stream.result.add_done_callback(lambda _: sending.cancel())
            else:
                self.flush()
            if request.leave is None:
                return await stream.result
            done, _ = await asyncio.wait([stream.result], timeout=request.leave)
            if not done:
                stream.fail("left")
                self.reset(number)
            stream.result.exception()
            raise Left
        finally:
            stream.result.cancel()
            del self.streams[number]

    async def send_body(self, number, stream, request):
        body = request.body
        try:
            while body:
                stream.window.clear()
                size = min(self.h2.local_flow_control_window(number),
                           self.h2.max_outbound_frame_size, len(body))
                if size:
                    self.h2.send_data(number, body[:size], end_stream=size == len(body) and not request.withheld)
                    body = body[size:]
                    # The first piece goes with the header, in one write.
                    self.flush()
                else:
                    self.flush()
                    await stream.window.wait()
        except h2.exceptions.ProtocolError:
            # The server has answered, and wants no more of it.
            pass

    def reset(self, number):
        try:
            self.h2.reset_stream(number, CANCEL)
            self.flush()
        except h2.exceptions.ProtocolError:
            pass

    def flush(self):
        if data := self.h2.data_to_send():
            self.writer.write(data)

    async def read(self):
        reason = "closed"
        try:
            while data := await self.reader.read(1 << 18):
                self.rest += data
                for event in self.events():
                    self.take(event)
                self.flush()
        except OSError as error:
            reason = type(error).__name__
        except h2.exceptions.ProtocolError as error:
            reason = f"protocol error: {error}"
        finally:
            self.close()
            for number, stream in self.streams.items():
                stream.fail(f"{reason} with stream {number} of {self.requests}, {self.last_word}")

    def events(self):
        # Frame by frame: to this library a GOAWAY is the end, and not the beginning of it.
        while len(self.rest) >= 9:
            size = 9 + int.from_bytes(self.rest[:3])
            if size > 9 + self.h2.max_inbound_frame_size:
                raise h2.exceptions.ProtocolError(f"not HTTP/2: {self.rest[:40]!r}")
            if len(self.rest) < size:
                return
            frame, self.rest = self.rest[:size], self.rest[size:]
            if frame[3] != GOAWAY:
                yield from self.h2.receive_data(frame)
                continue
            # This library drops what it was to send, too.
            self.flush()
            state = self.h2.state_machine.state
            yield from self.h2.receive_data(frame)
            self.h2.state_machine.state = state

    def take(self, event):
        if isinstance(event, h2.events.ConnectionTerminated):
            self.open = False
            code = event.error_code
            self.last_word = f"GOAWAY {event.last_stream_id}"
            for number, stream in self.streams.items():
                if number > (event.last_stream_id or 0):
                    stream.fail(f"GOAWAY {code}", refused=code == NO_ERROR)
            return
        if isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            for stream in self.streams.values():
                stream.window.set()
            return
        number = getattr(event, "stream_id", None)
        stream = self.streams.get(number)
        if isinstance(event, h2.events.DataReceived):
            if event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, number)
            if stream:
                stream.parts.append(event.data)
        elif stream is None:
            return
        elif isinstance(event, h2.events.ResponseReceived):
            stream.heard = True
            for name, value in event.headers:
                stream.answer.headers.setdefault(name, []).append(value)
            stream.answer.status = int(stream.answer.headers.pop(":status")[0])
        elif isinstance(event, h2.events.StreamEnded):
            stream.end()
        elif isinstance(event, h2.events.StreamReset):
            # Behind a whole answer, it only says that no more of the request is wanted.
            stream.fail(f"RST_STREAM {int(event.error_code)}",
                        refused=event.error_code == REFUSED and not stream.heard)

    def close(self, reset=False):
        self.open = False
        self.writer.transport.abort() if reset else self.writer.close()
