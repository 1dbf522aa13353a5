"""The upstreams: servers of t/servers, each a process."""

import os
import subprocess
import sys

DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "t", "servers")


class Servers:
    def __init__(self, faults, grpc):
        self.commands = [("faults", faults), ("grpc_server.py", grpc)]
        self.running = []

    def __enter__(self):
        for name, port in self.commands:
            one = subprocess.Popen([sys.executable, "-B", os.path.join(DIRECTORY, name), f"tcp:127.0.0.1:{port}"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.running.append(one)
            if one.stdout.readline() != b"ready\n":
                self.__exit__()
                raise RuntimeError(f"{name} does not start")

    def __exit__(self, *_):
        for one in self.running:
            one.kill()
            one.wait()
