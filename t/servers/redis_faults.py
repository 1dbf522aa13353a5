"""A server that speaks RESP2 and breaks its rules, as the key of `GET key` says.

  redis_faults.py tcp:127.0.0.1:PORT | tls:127.0.0.1:PORT:CERTIFICATE:KEY

  at:PORT        the server at PORT answers; another one says MOVED to it
  ask:PORT       another one says ASK; the server at PORT answers behind ASKING only
  loop           MOVED to the server itself, for ever
  moved:WHERE    MOVED to WHERE, as it stands there
  silent         no answer
  hold           no answer until some connection sends RELEASE, nor to what comes behind it
  close          the connection is closed
  half           half a reply, and then the connection is closed
  garbage        no RESP
  two            two replies to one command
  big:N          a string of N bytes, in pieces
  deep:N         an array in an array in an array ...
  error:TEXT     an error of that text

Everything else gets `+OK`; PORTS tells the number of connections so far, LOG all commands so far with the
numbers of their connections, and AUTH x is refused unless x is `right`.
"""

import binascii
import socket
import ssl
import sys
import threading

state = threading.Lock()
connections = 0
log = []
released = threading.Event()


def slot(key):
    return binascii.crc_hqx(key, 0) % 16384


def text(line):
    return f"+{line}\r\n".encode()


def bulk(line):
    return f"${len(line)}\r\n{line}\r\n".encode()


class Connection:
    def __init__(self, plain, port, number):
        self.socket, self.port, self.number = plain, port, number
        self.asking = False

    def commands(self):
        reader = self.socket.makefile("rb")
        while line := reader.readline():
            parts = []
            for _ in range(int(line[1:])):
                length = int(reader.readline()[1:])
                parts.append(reader.read(length + 2)[:-2])
            yield parts

    def run(self):
        try:
            for parts in self.commands():
                if not self.answer(parts):
                    break
        except OSError:
            pass
        finally:
            self.socket.close()

    def answer(self, parts):
        """False ends the connection."""
        name = parts[0].decode().upper()
        if name == "LOG":
            self.socket.sendall(bulk(" | ".join(log)))
            return True
        with state:
            log.append(f"{self.number} " + " ".join(part[:40].decode() for part in parts))
        asked, self.asking = self.asking, name == "ASKING"
        if name == "PORTS":
            self.socket.sendall(f":{connections}\r\n".encode())
        elif name == "RELEASE":
            released.set()
            self.socket.sendall(text("released"))
        elif name == "AUTH" and parts[-1] != b"right":
            self.socket.sendall(b"-WRONGPASS no\r\n")
        elif name == "GET":
            return self.get(parts[1], asked)
        else:
            self.socket.sendall(text("OK"))
        return True

    def get(self, key, asked):
        fault, _, detail = key.decode().partition(":")
        here = f"127.0.0.1:{self.port}"
        send = self.socket.sendall
        if fault == "at":
            moved = f"-MOVED {slot(key)} 127.0.0.1:{detail}\r\n".encode()
            send(text(self.port) if detail == str(self.port) else moved)
        elif fault == "ask":
            if detail != str(self.port):
                send(f"-ASK {slot(key)} 127.0.0.1:{detail}\r\n".encode())
            else:
                send(text(f"asked {self.port}") if asked else b"-ERR not asked\r\n")
        elif fault == "loop":
            send(f"-MOVED {slot(key)} {here}\r\n".encode())
        elif fault == "moved":
            send(f"-MOVED {slot(key)} {detail}\r\n".encode())
        elif fault == "hold":
            released.wait(30)
            send(text("held"))
        elif fault == "close":
            return False
        elif fault == "half":
            send(b"$100\r\nhalf")
            return False
        elif fault == "garbage":
            send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        elif fault == "two":
            send(b"+one\r\n+two\r\n")
        elif fault == "big":
            size = int(detail)
            send(f"${size}\r\n".encode())
            while size > 0:
                send(b"x" * min(size, 4096))
                size -= 4096
            send(b"\r\n")
        elif fault == "deep":
            send(b"*1\r\n" * int(detail) + b":1\r\n")
        elif fault == "error":
            send(f"-{detail}\r\n".encode())
        elif fault != "silent":
            send(text("OK"))
        return True


def main(listener):
    kind, host, port, *files = listener.split(":")
    server = socket.create_server((host, int(port)), backlog=64)
    context = None
    if kind == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
    threading.Thread(target=serve, args=(server, context, int(port)), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


def serve(server, context, port):
    global connections
    while True:
        plain, _ = server.accept()
        with state:
            connections += 1
            number = connections
        threading.Thread(target=handle, args=(plain, context, port, number), daemon=True).start()


def handle(plain, context, port, number):
    try:
        if context:
            plain = context.wrap_socket(plain, server_side=True)
    except OSError:
        plain.close()
        return
    Connection(plain, port, number).run()


if __name__ == "__main__":
    main(sys.argv[1])
