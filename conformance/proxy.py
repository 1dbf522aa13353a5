"""A proxy's process and what it says, line by line."""

import signal
import socket
import subprocess
import threading
import time


class Proxy:
    """Runs `command`; `parse` finds what guests logged in a line."""

    def __init__(self, name, command, parse):
        self.name = name
        self.parse = parse
        self.lines = []
        self.guests = []
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors="replace",
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            line = line.rstrip("\n")
            self.lines.append(line)
            if found := self.parse(line):
                self.guests.append(found)

    def alive(self):
        return self.process.poll() is None

    def wait_for(self, ports, seconds):
        """Waits until all ports take connections; the text of an error, or None."""
        last = time.monotonic() + seconds
        for port in ports:
            while True:
                if not self.alive():
                    return f"{self.name} ended with status {self.process.returncode}"
                try:
                    socket.create_connection(("127.0.0.1", port), 0.5).close()
                    break
                except OSError:
                    if time.monotonic() > last:
                        return f"{self.name} does not listen after {seconds} s"
                    time.sleep(0.05)
        return None

    def log_of(self, case):
        """What the guests of a case have logged: (filter, level, message)."""
        return [entry[1:] for entry in list(self.guests) if entry[0] == case]

    def stop(self):
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(60)
