#!/usr/bin/env python3
"""Reloads an nginx while clients ask it, and says what came of the requests.

    reloads.py MASTER RELOADS PATH PORT...

Eight clients ask each port in turn, half of them on connections that they keep. Prints JSON: for each port
{"right", "kept", "fresh"}: right answers, and requests that had no whole answer, by kind of connection.
"""
import json
import os
import signal
import socket
import sys
import threading
import time

master, reloads, path, ports = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], [int(port) for port in sys.argv[4:]]
counts = {port: {'right': 0, 'kept': 0, 'fresh': 0} for port in ports}
lock, stopping = threading.Lock(), threading.Event()


def ask(sock, keep):
    """A request: is the connection kept then? Raises OSError where there is no whole answer."""
    sock.sendall(f'GET {path} HTTP/1.1\r\nHost: a\r\nConnection: {"keep-alive" if keep else "close"}\r\n\r\n'.encode())
    data = b''
    while b'\r\n\r\n' not in data:
        part = sock.recv(65536)
        if not part:
            raise ConnectionError('closed')
        data += part
    head, _, body = data.partition(b'\r\n\r\n')
    length = next(int(line.split(b':')[1]) for line in head.split(b'\r\n') if line.lower().startswith(b'content-length:'))
    while len(body) < length:
        part = sock.recv(65536)
        if not part:
            raise ConnectionError('cut')
        body += part
    if not head.startswith(b'HTTP/1.1 200'):
        raise ConnectionError(head.decode())
    return b'connection: close' not in head.lower()


def client(keep):
    sockets = {}
    while not stopping.is_set():
        for port in ports:
            sock, reused = sockets.pop(port, None), True
            try:
                if sock is None:
                    sock, reused = socket.create_connection(('127.0.0.1', port), 30), False
                    sock.settimeout(120)
                result = 'right'
                if ask(sock, keep) and keep:
                    sockets[port] = sock
                else:
                    sock.close()
            except OSError:
                result = 'kept' if reused else 'fresh'
            with lock:
                counts[port][result] += 1


def workers():
    with open(f'/proc/{master}/task/{master}/children') as file:
        return set(file.read().split())


clients = [threading.Thread(target=client, args=(number % 2 == 0,), daemon=True) for number in range(8)]
for one in clients:
    one.start()
for _ in range(reloads):
    before, end = workers(), time.monotonic() + 120
    os.kill(master, signal.SIGHUP)
    # The next one as soon as this has new workers; the old ones may still drain.
    while not workers() - before and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.1)
stopping.set()
for one in clients:
    one.join(120)
print(json.dumps(counts))
