"""The two servers: `wasmtime serve`, and this nginx. Both run the guests of both versions."""

import contextlib
import os
import signal
import socket
import subprocess
import time

PATIENCE = 180
GUESTS = {"p2": "component_lab", "p3": "component_lab_p3"}

CONFIGURATION = """\
load_module {module};
daemon off;
worker_processes 1;
error_log error.log info;
pid nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_max_body_size 0;
    large_client_header_buffers 4 16k;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    resolver 127.0.0.1:{dead} ipv6=off;
    resolver_timeout 1s;
    wasm_cache {cache};
    # What a busy machine takes longer for is no difference.
    wasm_module p2 {p2} cpu_time=60s allowed_outbound_hosts=*://*:*;
    wasm_module p3 {p3} cpu_time=60s allowed_outbound_hosts=*://*:*;
    server {{ listen 127.0.0.1:{ports[p2]}; location / {{ wasm_handler p2; }} }}
    server {{ listen 127.0.0.1:{ports[p3]}; location / {{ wasm_handler p3; }} }}
}}
"""


class HostFailure(Exception):
    """A server does not start, or ends."""


class Process:
    """A server; `end` ends it and nothing else."""

    def __init__(self, name, command, work):
        self.name, self.log = name, os.path.join(work, f"{name}.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, cwd=work, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def wait(self, port):
        """Until it listens."""
        last = time.monotonic() + PATIENCE
        while time.monotonic() < last and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
                return
            time.sleep(0.02)
        with open(self.log, encoding="utf-8", errors="backslashreplace") as log:
            raise HostFailure(f"{self.name} does not start: {log.read()[-2000:]}")

    def end(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(PATIENCE)


def serve(stage, version, port):
    """`wasmtime serve`, with an instance for each request, as nginx has it."""
    guest = os.path.join(stage.filters, f"{GUESTS[version]}.wasm")
    command = [stage.wasmtime, "serve", "-S", "cli", "--max-instance-reuse-count", "1", "--addr", f"127.0.0.1:{port}", guest]
    return Process(f"wasmtime-{version}", command, stage.work)


def nginx(stage, ports, dead):
    guests = {version: os.path.join(stage.filters, f"{guest}.wasm") for version, guest in GUESTS.items()}
    text = CONFIGURATION.format(module=stage.module, cache=os.path.join(stage.work, "cache"), ports=ports, dead=dead, **guests)
    with open(os.path.join(stage.work, "nginx.conf"), "w", encoding="utf-8") as file:
        file.write(text)
    return Process("nginx", [stage.nginx, "-p", stage.work, "-c", "nginx.conf", "-e", "error.log"], stage.work)
