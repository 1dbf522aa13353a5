"""The server that takes uploads: it reads all of a request, keeps nothing, and answers `hello world`.

    python sink.py PORT

For the path /check the answer's header x-bench-whole is 1 if the upload is workload.UPLOAD, byte for byte. As little work as
can be, since it shares a processor with wrk.
"""

import re
import selectors
import socket
import sys

from workload import UPLOAD

HEAD = re.compile(rb"POST (\S+) HTTP/1\.1\r\n.*?content-length: *(\d+)\r\n", re.DOTALL | re.IGNORECASE)
ANSWER = b"HTTP/1.1 %s\r\nContent-Type: text/plain\r\nx-bench-whole: %d\r\nContent-Length: 11\r\n\r\nhello world"
buffer = memoryview(bytearray(1 << 18))


class Connection:
    def __init__(self, accepted):
        self.socket = accepted
        self.head, self.left, self.kept = b"", 0, None

    def read(self):
        """False when the other side has closed it."""
        try:
            size = self.socket.recv_into(buffer)
        except ConnectionResetError:
            return False
        if size:
            self.take(buffer[:size])
        return bool(size)

    def take(self, data):
        if not self.left:
            self.head += data
            head, end, rest = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            self.head = b""
            found = HEAD.match(head + b"\r\n")
            if not found:
                self.socket.sendall(ANSWER % (b"411 Length Required", 0))
                return
            self.left = int(found[2])
            self.kept = bytearray() if found[1] == b"/check" else None
            data = rest
        if self.kept is not None:
            self.kept += data
        self.left -= len(data)
        if not self.left:
            self.socket.sendall(ANSWER % (b"200 OK", self.kept == UPLOAD))


def main(port):
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.data is None:
                accepted, _ = listener.accept()
                selector.register(accepted, selectors.EVENT_READ, Connection(accepted))
            elif not key.data.read():
                selector.unregister(key.fileobj)
                key.fileobj.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
