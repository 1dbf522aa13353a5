"""nginx under test: its configuration, what its guests log."""

import os
import re

HEAD = """\
load_module {module};
daemon off;
master_process on;
worker_processes 1;
error_log stderr info;
pid {work}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    default_type text/plain;
    client_body_temp_path {work}/client;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Connection "";
    proxy_pass_header Server;
    proxy_pass_header Date;
    proxy_next_upstream off;
    proxy_buffering off;
    proxy_pass_trailers on;
    lingering_close off;
    reset_timedout_connection off;
{extra}
"""


def configuration(cases, ports, upstreams, guests, module, work, extra=""):
    """nginx.conf; guests' configurations become files beside it."""
    lines = [HEAD.format(module=module, work=work, extra=extra)]
    lines += [f"    upstream {name} {{ server 127.0.0.1:{port}; }}" for name, port in upstreams.items()]
    for case in cases:
        lines += modules(case, guests, work)
    for case in cases:
        lines += server(case, ports[case.id], work)
    return "\n".join(lines) + "\n}\n"


def modules(case, guests, work):
    seen = {}
    for index, filter in enumerate(case.filters):
        vm = case.vm(index)
        if vm not in seen:
            options = ""
            if filter.vm_config is not None:
                options = f" 'vm_config=@{write(work, vm + '.vm', case.text(filter.vm_config))}'"
            seen[vm] = f"    wasm_module {vm} {guests[filter.guest]}{options};"
    return seen.values()


def server(case, port, work):
    yield f"    server {{ listen 127.0.0.1:{port}; server_name {case.id};" + (" http2 on;" if case.http2 else "")
    for index, filter in enumerate(case.filters):
        file = write(work, f"{case.id}.f{index}.conf", case.text(filter.config))
        yield f"        wasm_filter {case.vm(index)} '@{file}';"
    for prefix, upstream in case.routes:
        yield f"        location {prefix} {{ proxy_pass http://{upstream}-{case.id}; }}"
    yield f"        location / {{ proxy_pass http://up-{case.id}; }}"
    yield "    }"


def write(work, name, text):
    path = os.path.join(work, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


LINE = re.compile(r"^\S+ \S+ \[(\w+)\] \d+#\d+: (?:\*\d+ )?\[wasm\] (\w+)\.(\w+): (.*)$")
REQUEST = re.compile(r"(?: while [a-z ]+)?, (?:client|server): .*$")


# What the host says about a call that failed, with the module's name in front.
HOST = re.compile(r'(?:gRPC )?call to ".*" failed: ')


def parse(line):
    """(case, filter, level, message) of a line that a guest logged, else None."""
    found = LINE.match(line)
    if not found or HOST.match(found[4]):
        return None
    return found[2], found[3], found[1], REQUEST.sub("", found[4])
