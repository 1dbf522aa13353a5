"""Ports of the loopback that are free, for conformance/, wild/ and bench/."""

import itertools
import random
import socket

# Below the ports that systems give to outgoing connections, which could take one in the meantime.
ports = itertools.count(random.randrange(11000, 17000))


def free_port():
    """A port that nobody listens on; another one each time."""
    for port in ports:
        with socket.socket() as sock:
            # As servers do, which are not stopped by a connection in TIME_WAIT.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
