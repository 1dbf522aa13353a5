"""nginx.conf of a contender: a server for each case, each on a port of its own."""

from workload import FAULT, FIND, REPLACE, SINK, UPSTREAM

HEAD = """\
{load}
daemon off;
{user}
worker_processes {workers};
error_log {work}/{name}.log warn;
pid {work}/{name}.pid;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    default_type text/plain;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    client_max_body_size 2m;
    client_body_temp_path {work}/client;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
"""
BEHIND = {"hello": 'return 200 "hello world";', "page": "root {work};", "nothing": "return 404;",
          "missing": "root {work}/missing;",
          # By default, nginx reads in pieces of 8 KiB.
          "sink": f'proxy_request_buffering off; client_body_buffer_size 128k; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://{SINK};'}


def configuration(contender, cases, stage, metrics=None):
    """`metrics`: a port where it also shows what guests were called; answers then show what they did to requests."""
    lines = [head(stage, contender.name, stage.load[contender.name])]
    if contender.runs in ("lua", "proxy-wasm"):
        lines += lua(stage)
    elif contender.runs:
        lines += wasm(cases, stage)
    if any(case.workload.behind == "sink" for case in cases):
        lines.append(f"    upstream {SINK} {{ server 127.0.0.1:{stage.sink}; keepalive 64; keepalive_requests 1000000000; }}")
    for case in cases:
        lines += server(case, stage, metrics)
    if metrics and contender.runs in ("wasm", "base"):
        lines.append(f"    server {{ listen 127.0.0.1:{metrics}; location / {{ wasm_metrics; }} }}")
    return "\n".join([*lines, "}", ""])


def head(stage, name, load=(), workers=1):
    return HEAD.format(load="\n".join(f"load_module {file};" for file in load), user=stage.user,
                       workers=workers, work=stage.work, name=name)


def wasm(cases, stage):
    yield f"    wasm_cache {stage.work}/cache;"
    for case in cases:
        for guest in {guest for guest, _ in case.workload.filters}:
            isolation = case.workload.isolation
            yield f"    wasm_module {case.workload.name} {stage.filters}/{guest}.wasm isolation={isolation};"
    yield (f"    upstream {UPSTREAM} {{ server 127.0.0.1:{stage.upstream}; keepalive 64;"
           " keepalive_requests 1000000000; }")


def lua(stage):
    yield f'    lua_package_path "{stage.lua}/?.lua;{stage.lua_plugins}/?.lua;{stage.lua_packages}/?.lua;;";'
    yield f'    lua_package_cpath "{stage.lua_libraries}/?.so;;";'
    yield "    lua_socket_pool_size 64;"
    # `return` would answer ahead of rewrite_by_lua.
    yield "    rewrite_by_lua_no_postpone on;"
    yield f"    init_by_lua_block {{ require('bench').init('{FAULT}', {stage.upstream}, '{FIND}', '{REPLACE}', '{stage.filters}') }}"


def server(case, stage, metrics):
    workload, runs = case.workload, case.contender.runs
    yield f"    server {{ listen 127.0.0.1:{case.port} backlog=1024; location / {{"
    if metrics and workload.seen:
        yield "        add_header x-bench-seen $http_x_bench_request;"
    if runs == "lua":
        yield workload.lua
        if "content_by_lua" in workload.lua:
            yield "    } }"
            return
    elif runs == "proxy-wasm":
        for guest, configuration in workload.filters:
            yield f"        access_by_lua_block {{ require('bench').plugin('{guest}', '{configuration}') }}"
    elif runs:
        if workload.by_lua:
            yield "        wasm_filter_phase access;"
        for _, configuration in workload.filters:
            yield f"        wasm_filter {workload.name} '{configuration}';"
    yield "        " + BEHIND[workload.behind].format(work=stage.work)
    yield "    } }"


def upstream(stage):
    return head(stage, "upstream") + (
        f'    server {{ listen 127.0.0.1:{stage.upstream} backlog=1024; return 200 "ok"; }}\n}}\n')
