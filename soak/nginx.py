"""nginx under load: its configuration, its start and end, its processes."""

import os
import signal
import subprocess
import time

import kinds
import process

# Seconds: a busy machine may take long for what takes no time.
PATIENCE = 180

CONFIGURATION = """\
load_module {module};
daemon off;
{user}
worker_processes {workers};
worker_shutdown_timeout 30s;
error_log {work}/error.log warn;
pid {work}/nginx.pid;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    default_type text/plain;
    keepalive_requests 100000;
    client_body_temp_path {work}/client;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        http2 on;
        {server}
        location / {{ return 404; }}
    }}
}}
"""


class Nginx:
    def __init__(self, binary, module, work, port, workers, environment):
        self.binary, self.module, self.work, self.port, self.workers = binary, module, work, port, workers
        self.environment = environment
        self.log = os.path.join(work, "error.log")

    def configure(self):
        """Writes nginx.conf, with another version each time."""
        self.environment.version += 1
        user = "user root;" if os.getuid() == 0 else ""
        text = CONFIGURATION.format(module=self.module, work=self.work, workers=self.workers, port=self.port,
                                    user=user, **kinds.directives(self.environment))
        with open(os.path.join(self.work, "nginx.conf"), "w") as file:
            file.write(text)

    def start(self):
        self.configure()
        arguments = [self.binary, "-p", self.work + "/", "-e", self.log, "-c", "nginx.conf"]
        test = subprocess.Popen([*arguments, "-t", "-q"], stderr=subprocess.PIPE, text=True)
        said = test.communicate()[1]
        if test.returncode:
            raise RuntimeError(f"nginx does not take its configuration:\n{said}")
        self.running = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
        self.pid = self.running.pid
        # They start guests, too, to try the configuration.
        self.readers = {test.pid, self.pid}
        self.wait(lambda: len(self.pids()) == self.workers)

    def reload(self):
        self.configure()
        os.kill(self.pid, signal.SIGHUP)

    def pids(self):
        return process.children(self.pid)

    def wait(self, condition, seconds=PATIENCE):
        """False where it does not become so."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or self.running.poll() is not None:
                return False
            time.sleep(0.05)
        return True

    def quit(self):
        """False where it did not end well in time."""
        self.running.send_signal(signal.SIGQUIT)
        try:
            return self.running.wait(PATIENCE) == 0
        except subprocess.TimeoutExpired:
            return False

    def kill(self):
        if self.running.poll() is None:
            self.running.terminate()
            self.running.wait()
