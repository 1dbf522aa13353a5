"""Runs a case: an nginx of its own, its requests, what came of them."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

from case import Failure
from ports import free_port
from upstream import Server

# Seconds: a busy machine may take long for what takes no time.
START, PATIENCE = 600, 180

CONF = """\
load_module {module};
daemon off;
{user}
worker_processes 1;
error_log {work}/error.log info;
pid {work}/nginx.pid;
events {{ worker_connections 512; }}
http {{
    access_log {work}/access.log;
    default_type text/plain;
    client_body_temp_path {work}/client;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Connection "";
    proxy_buffering off;
    wasm_cache {cache};
    wasm_pause_timeout 120s;
    upstream up {{ server 127.0.0.1:{up}; }}
{http}
    server {{
        listen 127.0.0.1:{port};
        server_name wild.test;
        location / {{
{filters}
            {location}
        }}
    }}
    server {{ listen 127.0.0.1:{metrics}; location / {{ wasm_metrics; }} }}
}}
"""

class Stage:
    """`up`: what nginx proxies to; `side`: what filters call; `spare`: another server to be routed to."""

    def __init__(self, options, guests):
        self.options, self.guests = options, guests
        self.work = os.path.join(options.work, "run")
        self.up, self.side, self.spare = Server(), Server(), Server()
        self.redis = None
        # Nobody listens there, but in cases that start it.
        self.redis_port = 1

    def stop(self):
        for server in (self.up, self.side, self.spare):
            server.stop()
        if self.redis:
            self.redis.terminate()
            self.redis.wait()

    def run(self, tried, case):
        """What is wrong, as lines; empty if nothing is."""
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work)
        self.port, self.metrics = free_port(), free_port()
        if case.redis:
            self.start_redis()
        self.write("nginx.conf", self.configuration(case))
        command = [self.options.nginx, "-p", self.work, "-e", f"{self.work}/error.log", "-c", f"{self.work}/nginx.conf"]
        nginx = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if not self.listens(nginx, self.port):
                return ["nginx does not start", *self.log_lines()]
            for number, step in enumerate(case.steps, 1):
                for _ in range(step.times):
                    problem = self.step(step)
                if problem:
                    return [f"request {number}, {step.method} {step.path}: {problem}", *self.log_lines()]
        finally:
            nginx.terminate()
            try:
                nginx.wait(60)
            except subprocess.TimeoutExpired:
                nginx.kill()
                nginx.wait()
        # Guests log at these levels, too.
        bad = [line for line in self.log().splitlines() if re.search(r"\[(?:alert|crit|emerg)\] (?!.*\[wasm\])|panicked", line)]
        return ["nginx's log:", *bad[:5]] if bad else []

    def configuration(self, case):
        modules, filters = {}, []
        for index, link in enumerate(case.chain):
            name = link.name or re.sub(r"\W", "_", link.filter.name)
            modules[name] = f"    wasm_module {name} {self.guests[link.filter.name]} {link.filter.parameters};"
            file = self.write(f"filter-{index}.conf", self.filled(link.text()))
            filters.append(f"            wasm_filter {name} '@{file}';")
        user = "user root;" if os.getuid() == 0 else ""
        cache = os.path.join(self.options.work, "cache")
        return CONF.format(module=self.options.module, work=self.work, user=user, cache=cache, up=self.up.port, port=self.port, metrics=self.metrics,
                           http="\n".join([*modules.values(), self.filled(case.http)]), filters="\n".join(filters), location=case.location)

    def filled(self, text):
        values = {"UP": self.up.port, "SIDE": self.side.port, "SPARE": self.spare.port, "REDIS": self.redis_port}
        for name, port in values.items():
            text = text.replace("{%s}" % name, str(port))
        return text

    @staticmethod
    def listens(process, port):
        """Waits until it does; false where it does not."""
        end = time.monotonic() + START
        while time.monotonic() < end and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                time.sleep(0.05)
        return False

    def step(self, step):
        """What is wrong with a request, or None."""
        for server in (self.up, self.side, self.spare):
            server.seen.clear()
        data = step.data
        if data is not None and not isinstance(data, (str, bytes)):
            data = json.dumps(data)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            send = {"host": "wild.test", **({"content-type": "application/json"} if data is not None else {}),
                    **{name.lower(): value for name, value in step.send.items()}}
            connection.request(step.method, step.path, data, send)
            response = connection.getresponse()
            body = response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            return f"no whole answer: {error!r}"
        finally:
            connection.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return self.compare(step, response.status, headers, body)

    def compare(self, step, status, headers, body):
        if status != step.status:
            return f"expected status {step.status}, got {status}, {body[:300]!r}"
        if problem := differs("header", step.headers, headers):
            return problem
        if step.body is not None and not re.search(step.body, body, re.DOTALL):
            return f"expected a body like {step.body!r}, got {body[:600]!r}"
        seen = (self.up.seen + self.spare.seen)[-1:]
        if step.reaches is not None and bool(seen) != step.reaches:
            return f"expected that the request {'reaches' if step.reaches else 'does not reach'} the upstream"
        if step.sees or step.seen_body is not None or step.seen_path is not None:
            if not seen:
                return "the request has not reached the upstream"
            _, path, got, content = seen[0]
            if problem := differs("at the upstream, header", step.sees, got):
                return problem
            if step.seen_path is not None and not re.search(step.seen_path, path):
                return f"at the upstream, expected a path like {step.seen_path!r}, got {path!r}"
            if step.seen_body is not None and not re.search(step.seen_body, content.decode("utf-8", "replace"), re.DOTALL):
                return f"at the upstream, expected a body like {step.seen_body!r}, got {content[:600]!r}"
        for wanted, what, found in [
                *((call, "a call like", self.calls) for call in step.calls),
                *([(step.log, "a line in the log like", self.log)] if step.log else []),
                *([(step.metrics, "metrics like", self.page)] if step.metrics else [])]:
            if not soon(wanted, found):
                return f"expected {what} {wanted!r}, got {found()[-1500:]!r}"
        return None

    def calls(self):
        return "\n".join(f"{method} {path} {headers} {body.decode('utf-8', 'replace')}" for method, path, headers, body in list(self.side.seen))

    def page(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics, timeout=PATIENCE)
        connection.request("GET", "/")
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def log(self):
        try:
            with open(os.path.join(self.work, "error.log"), errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def log_lines(self):
        lines = [line[:400] for line in self.log().splitlines() if "[wasm]" in line or re.search(r"\[(?:error|alert|crit|emerg)\]", line)]
        return [f"log: {line}" for line in lines[-12:]]

    def write(self, name, text):
        path = os.path.join(self.work, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start_redis(self):
        """Fresh for each case that needs it."""
        if self.redis:
            self.redis.terminate()
            self.redis.wait()
        self.redis_port = free_port()
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.redis_port), "--save", "", "--appendonly", "no", "--dir", tempfile.gettempdir()]
        try:
            self.redis = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except FileNotFoundError as error:
            raise Failure("no redis-server: run `scripts/setup test`") from error
        if self.listens(self.redis, self.redis_port):
            return
        raise Failure("redis-server does not start")


def differs(what, wanted, got):
    for name, pattern in wanted.items():
        value = got.get(name)
        if pattern is None and value is not None:
            return f"{what} {name}: expected none, got {value!r}"
        if pattern is not None and (value is None or not re.search(pattern, value)):
            return f"{what} {name}: expected {pattern!r}, got {value!r}"
    return None


def soon(pattern, text):
    end = time.monotonic() + PATIENCE
    while not re.search(pattern, text(), re.DOTALL):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True
