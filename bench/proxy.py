"""A contender's process: its start and end, what it uses, what it logs."""

import json
import os
import socket
import subprocess
import sys
import time

import client
import envoy
import nginx
import process
from failure import Failure

PATIENCE = 240


class Proxy:
    """Runs on the processor of the contenders. With `check` it shows what guests are called, nginx on the port `metrics`."""

    def __init__(self, contender, cases, stage, check=False):
        self.contender, self.cases, self.stage, self.check = contender, cases, stage, check
        self.log = os.path.join(stage.work, f"{contender.name}.log")
        self.metrics = next(stage.ports) if check else None
        self.running = None

    def start(self):
        if self.contender.binary == "envoy":
            text = json.dumps(envoy.configuration(self.cases, self.stage, self.check), indent=1)
            command = envoy.command(self.stage, self.contender.name, self.log, self.check, text)
        else:
            text = nginx.configuration(self.contender, self.cases, self.stage, self.metrics)
            self.stage.write(f"{self.contender.name}.conf", text)
            command = nginx_command(self.stage, self.contender.binary, self.contender.name)
        self.run(command)

    def run(self, command):
        with open(self.log, "a") as log:
            self.running = subprocess.Popen(
                ["taskset", "-c", str(self.stage.cpu), *command], env=self.stage.environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)

    def wait(self):
        """Until every case has an answer, whichever it is."""
        last = time.monotonic() + PATIENCE
        for case in self.cases:
            while client.get(case) is None:
                if self.running.poll() is not None or time.monotonic() > last:
                    raise Failure(f"{self.contender.title} does not answer; its log is {self.log}\n{self.tail()}")
                time.sleep(0.02)
        self.pid = self.running.pid
        if self.contender.binary != "envoy":
            self.pid, = process.children(self.running.pid)

    def cpu(self):
        """CPU time of what serves, in ns: nginx's worker, all of Envoy."""
        try:
            return process.cpu(self.pid)
        except FileNotFoundError as error:
            raise Failure(f"{self.contender.title}: what served has ended; its log is {self.log}") from error

    def tail(self):
        with open(self.log, errors="replace") as file:
            return "".join(file.readlines()[-10:])

    def stop(self):
        if self.running and self.running.poll() is None:
            self.running.terminate()
            try:
                self.running.wait(10)
            except subprocess.TimeoutExpired:
                self.running.kill()
                self.running.wait()


def nginx_command(stage, binary, name):
    """For the configuration NAME.conf."""
    path = os.path.join(stage.work, name)
    return [stage.binaries[binary], "-p", stage.work, "-e", f"{path}.log", "-c", f"{path}.conf"]


class Upstream:
    """The servers that W6 calls and W8 sends to, on the load generator's processor."""

    def __init__(self, stage):
        stage.write("upstream.conf", nginx.upstream(stage))
        sink = [sys.executable, "-B", os.path.join(os.path.dirname(os.path.abspath(__file__)), "sink.py"), str(stage.sink)]
        self.running = [subprocess.Popen(["taskset", "-c", str(stage.load_cpu), *command], stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                        for command in (nginx_command(stage, "nginx", "upstream"), sink)]
        for port in (stage.upstream, stage.sink):
            self.wait(port)

    def wait(self, port):
        last = time.monotonic() + PATIENCE
        while time.monotonic() < last:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise Failure(f"nothing listens at port {port}, where W6 or W8 has its server")

    def stop(self):
        for running in self.running:
            running.terminate()
            running.wait()
