"""A gRPC server for tests, without generated code: messages are bytes as they are.

    python3 t/servers/grpc_server.py LISTENER...      tcp:HOST:PORT or tls:HOST:PORT:CERT:KEY

Writes "ready" when it listens, and exits when its standard input ends. It needs the package grpcio.
Methods of test.Echo:

    Unary     answers with the message
    Upper     answers with the message in upper case
    Size      answers with so many bytes as the message says in decimal, abcdefghabc...
    Split     a message for each character
    Count     answers with "messages bytes" of all messages when the last has come
    Chat      answers each message with "N: message"; ends behind a message "bye"
    Metadata  answers with the metadata that came, "name=value" a line; its own initial metadata
              are x-initial: one and two, and x-bin-bin: 00 ff; trailing metadata x-trailing: end
    Status    the message is "CODE" or "CODE text": ends so, with the trailing metadata x-reason: test
    Abort     answers "first", then ends with status 13, text "then broken"
    Delay     answers "late" after so many seconds as the message says
    Hold      answers nothing until the client has gone; that is told to Held
    Held      "waiting=N left=N", how many are and were in Hold
    Deadline  answers with the seconds that the client leaves, rounded, or "none"
"""

import os
import sys
import threading
from concurrent import futures

import grpc

SERVICE = "test.Echo"


def pattern(size):
    return (b"abcdefgh" * (size // 8 + 1))[:size]


class Holds:
    def __init__(self):
        self.lock = threading.Lock()
        self.waiting = self.left = 0

    def enter(self, context):
        gone = threading.Event()
        with self.lock:
            self.waiting += 1
        if not context.add_callback(gone.set):
            gone.set()
        gone.wait(60)
        with self.lock:
            self.waiting -= 1
            self.left += 1

    def __str__(self):
        with self.lock:
            return f"waiting={self.waiting} left={self.left}"


holds = Holds()


def metadata(message, context):
    lines = []
    for name, value in context.invocation_metadata():
        shown = value.hex() if isinstance(value, bytes) else value
        lines.append(f"{name}={shown}\n")
    context.send_initial_metadata((("x-initial", "one"), ("x-initial", "two"), ("x-bin-bin", b"\x00\xff")))
    context.set_trailing_metadata((("x-trailing", "end"),))
    return "".join(lines).encode()


def status(message, context):
    code, _, text = message.decode().partition(" ")
    context.set_trailing_metadata((("x-reason", "test"),))
    code = next(known for known in grpc.StatusCode if known.value[0] == int(code))
    if code is grpc.StatusCode.OK:
        return b""
    context.abort(code, text)


def delay(message, context):
    # Ends with the call, when that ends before.
    gone = threading.Event()
    if context.add_callback(gone.set):
        gone.wait(float(message))
    return b"late"


def hold(message, context):
    holds.enter(context)
    return b""


def deadline(message, context):
    left = context.time_remaining()
    # Without a deadline, gRPC gives a time that is centuries away.
    return b"none" if left is None or left > 1e8 else str(round(left)).encode()


def split(message, context):
    for byte in message:
        yield bytes((byte,))


def broken(message, context):
    yield b"first"
    context.abort(grpc.StatusCode.INTERNAL, "then broken")


def count(messages, context):
    sizes = [len(message) for message in messages]
    return f"{len(sizes)} {sum(sizes)}".encode()


def chat(messages, context):
    for number, message in enumerate(messages, 1):
        yield b"%d: %s" % (number, message)
        if message == b"bye":
            return


def handlers():
    unary = {
        "Unary": lambda message, _: message,
        "Upper": lambda message, _: message.upper(),
        "Size": lambda message, _: pattern(int(message)),
        "Metadata": metadata,
        "Status": status,
        "Delay": delay,
        "Hold": hold,
        "Held": lambda _, __: str(holds).encode(),
        "Deadline": deadline,
    }
    methods = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in unary.items()}
    methods["Split"] = grpc.unary_stream_rpc_method_handler(split)
    methods["Abort"] = grpc.unary_stream_rpc_method_handler(broken)
    methods["Count"] = grpc.stream_unary_rpc_method_handler(count)
    methods["Chat"] = grpc.stream_stream_rpc_method_handler(chat)
    return grpc.method_handlers_generic_handler(SERVICE, methods)


def listen(server, what):
    kind, _, where = what.partition(":")
    if kind != "tls":
        return server.add_insecure_port(where)
    where, certificate, key = where.rsplit(":", 2)
    pair = tuple(open(path, "rb").read() for path in (key, certificate))
    return server.add_secure_port(where, grpc.ssl_server_credentials((pair,)))


def main():
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=64),
        options=(
            ("grpc.so_reuseport", 0),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
        ),
    )
    server.add_generic_rpc_handlers((handlers(),))
    for what in sys.argv[1:]:
        listen(server, what)
    server.start()
    print("ready", flush=True)
    # Whoever started it is gone when this end of the pipe is closed.
    while os.read(0, 4096):
        pass
    os._exit(0)


main()
