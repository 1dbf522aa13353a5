"""Starts Redis for tests.

  redis.py OPTION... PORT           one server; OPTION is --NAME VALUE, as redis-server takes it
  redis.py cluster PORT BUS...      nodes of a Redis Cluster that share all slots, with the ports of its bus

Says "ready" when it can be used. Ends, with what it has started, when its standard input is closed.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE = 120


def end_with_parent():
    """The server must not outlive this process, however it ends (prctl, PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def start(port, directory, options):
    own = os.path.join(directory, str(port))
    os.mkdir(own)
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", own, "--save", "", "--appendonly", "no"]
    return subprocess.Popen(command + options, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=end_with_parent)


def ask(port, *words):
    """The reply to one command, as text; its end is seen by its silence, which does for what is asked here."""
    query = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    with socket.create_connection(("127.0.0.1", port), 2) as connection:
        connection.sendall(query.encode())
        reply = connection.recv(65536).decode()
        if reply.startswith("$") and not reply.startswith("$-1"):
            length, _, text = reply.partition("\r\n")
            while len(text) < int(length[1:]) + 2:
                text += connection.recv(65536).decode()
        return reply


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.02)
    sys.exit(f"redis.py: no {what} in {PATIENCE} s")


def cluster(arguments, directory):
    nodes = list(zip(arguments[::2], arguments[1::2]))
    for port, bus in nodes:
        start(port, directory, ["--cluster-enabled", "yes", "--cluster-port", bus])
    for index, (port, _) in enumerate(nodes):
        wait_for(lambda: ask(port, "PING").startswith("+PONG"), f"server at {port}")
        first, last = 16384 * index // len(nodes), 16384 * (index + 1) // len(nodes) - 1
        ask(port, "CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
        ask(port, "CLUSTER", "SET-CONFIG-EPOCH", str(index + 1))
    for port, bus in nodes[1:]:
        ask(nodes[0][0], "CLUSTER", "MEET", "127.0.0.1", port, bus)
    for port, _ in nodes:
        wait_for(lambda: "cluster_state:ok" in ask(port, "CLUSTER", "INFO"), f"cluster at {port}")


def main(arguments):
    with tempfile.TemporaryDirectory(prefix="nginx-test-redis-") as directory:
        if arguments[0] == "cluster":
            cluster(arguments[1:], directory)
        else:
            *options, port = arguments
            start(port, directory, options)
            accepted = ("+PONG", "-NOAUTH")
            wait_for(lambda: ask(port, "PING").startswith(accepted), f"server at {port}")
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
