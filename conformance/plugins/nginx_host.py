"""Extism's host in nginx: one case, in an nginx of its own, on a Unix socket.

The plugin is what a `wasm_module` names: the module with parameters where these can say all of the case, else a manifest. The function
is a variable's value, so that calls of what does not exist can be made.
"""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

from case import Seen
from hosts import PATIENCE, HostFailure, Run

CONFIGURATION = """\
load_module {module};
daemon off;
worker_processes 1;
error_log error.log {level};
pid nginx.pid;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    wasm_cache {cache};
    # What a busy machine takes longer for is no difference.
    wasm_module case {plugin} cpu_time=60s start_time=60s log_rate=off;
    server {{
        listen unix:{socket};
        location / {{ wasm_handler case function=$http_x_function errors=show error_status=500; }}
    }}
}}
"""
# Extism's levels in nginx; without a log there is what nginx says of a worker that ends alone.
LEVELS = {"trace": "debug", None: "crit"}
# Characters. nginx reads its configuration by 4096 bytes, and no word is longer.
LONG = 500
LINE = re.compile(r"^\S+ \S+ \[(\w+)\] \d+#\d+: (?:\*\d+ )?\[wasm\] case: (.*)$")
REQUEST = re.compile(r"(?: while [a-z ]+)?, (?:client|server): .*$")
# The level comes first in what extism_test logs, so a line of the guest's can be known from one of the host's.
GUESTS = re.compile(r"(trace|debug|info|warn|error) text$")


class Nginx:
    """One nginx; `end` ends it and nothing else."""

    def __init__(self, binary, work):
        self.work = work
        self.output = open(os.path.join(work, "output"), "wb")  # pylint: disable=consider-using-with
        try:
            self.process = subprocess.Popen([binary, "-p", work, "-c", "nginx.conf", "-e", "error.log"],
                                            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)
        except OSError as error:
            self.output.close()
            raise HostFailure(f"{binary}: {error}") from error

    def is_up(self):
        """Whether it has started; False: its configuration is refused."""
        last = time.monotonic() + PATIENCE
        while time.monotonic() < last:
            if self.process.poll() is not None:
                return False
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(os.path.join(self.work, "s"))
                return True
            time.sleep(0.01)
        raise HostFailure(f"nginx is not up after {PATIENCE} s: {self.said()[-2000:]}")

    def said(self):
        """What it has said on standard error, and logged."""
        text = ""
        for name in ("output", "error.log"):
            with contextlib.suppress(FileNotFoundError), open(os.path.join(self.work, name), encoding="utf-8", errors="backslashreplace") as file:
                text += file.read()
        return text

    def end(self):
        # SIGTERM first: the master ends its worker.
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(PATIENCE)
        self.output.close()


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def run(case, stage):
    """The case on nginx: a runner of hosts.py."""
    # In a directory with a short name: that of a Unix socket has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="plugins-") as work:
        os.chmod(work, 0o755)
        write(work, "nginx.conf", configuration(case, stage, work))
        server = Nginx(stage.nginx, work)
        try:
            if not server.is_up():
                return Run(refusal(case, server, stage), [], [])
            calls = [call(work, one, stage) for one in case.calls]
        except (OSError, http.client.HTTPException) as error:
            raise HostFailure(f"{case.name}: nginx: {error!r}: {server.said()[-2000:]}") from error
        finally:
            server.end()
        said = server.said()
    if wrong := [line for line in said.splitlines() if "[alert]" in line or "[emerg]" in line or "panicked" in line]:
        raise HostFailure(f"{case.name}: nginx: {wrong[0]}")
    return Run(None, calls, logged(said) if case.level else [])


def refusal(case, server, stage):
    """Why the configuration is refused."""
    if found := re.search(r'\[emerg\] \d+#\d+: (.*wasm module "case".*|.*manifest.*)', server.said()):
        return stage.plain(found[1])
    raise HostFailure(f"{case.name}: nginx does not start: {server.said()[-2000:]}")


def configuration(case, stage, work):
    return CONFIGURATION.format(module=stage.module, level=LEVELS.get(case.level, case.level), cache=stage.cache, plugin=plugin(case, stage, work),
                                socket=os.path.join(work, "s"))


def plugin(case, stage, work):
    """The file and the parameters of `wasm_module`."""
    file = os.path.join(stage.filters, f"{case.plugin}.wasm")
    config, manifest = stage.filled(case.config), stage.filled(case.manifest)
    headers = "http_headers=on" if case.http_headers else "http_headers=off"
    if can_be_said(case):
        words = [f"config={name}:{value}" for name, value in config.items()]
        words += [f"allowed_hosts={','.join(hosts)}" for hosts in manifest.values()]
        return " ".join([quoted(file), headers, *map(quoted, words)])
    whole = {"wasm": [{"path": file, **case.wasm}], "config": config, **manifest}
    write(work, "manifest.json", json.dumps(whole))
    return f"{os.path.join(work, 'manifest.json')} {headers}"


def can_be_said(case):
    """Whether parameters can say it: no other members of the manifest, and no value that is no text, or too long for nginx.conf."""
    if case.wasm or set(case.manifest) - {"allowed_hosts"} or case.manifest.get("allowed_hosts") == []:
        return False
    return all(isinstance(value, str) and len(name) + len(value) < LONG for name, value in case.config.items())


def quoted(word):
    return "'%s'" % word.replace("\\", "\\\\").replace("'", "\\'")


def call(work, one, stage):
    connection = UnixConnection(os.path.join(work, "s"))
    try:
        connection.request("POST", "/", stage.filled(one.input), {"X-Function": one.function})
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status == 200:
        return Seen(False, body, error="")
    # The message is the body; what the guest has put out before it failed is not sent. Without the function, it is nginx's page.
    told = response.status == 500
    return Seen(True, None, error=stage.plain(body.decode("utf-8", "backslashreplace")) if told else None)


def logged(said):
    """What the guest has logged, as libextism writes it."""
    lines = []
    for line in said.splitlines():
        found = LINE.match(line)
        text = found and REQUEST.sub("", found[2])
        if text and (level := GUESTS.match(text)):
            shown = {"debug": "TRACE" if level[1] == "trace" else "DEBUG"}.get(found[1], found[1].upper())
            lines.append(f"{shown} extism::pdk: {text}")
    return lines


def write(work, name, text):
    with open(os.path.join(work, name), "w", encoding="utf-8") as file:
        file.write(text)
