"""Envoy's configuration: a listener for each case."""

from workload import SINK, UPSTREAM

EXTENSION = "type.googleapis.com/envoy.extensions."
STRING = "type.googleapis.com/google.protobuf.StringValue"


def command(stage, name, log, check, text):
    file = stage.write(f"{name}.json", text)
    level = ["--component-log-level", "wasm:trace"] if check else []
    return [stage.binaries["envoy"], "-c", file, "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning", *level]


def configuration(cases, stage, check):
    return {"static_resources": {
        "listeners": [listener(case, stage, check) for case in cases],
        "clusters": [cluster(UPSTREAM, stage.upstream), cluster(SINK, stage.sink)],
    }}


def cluster(name, port):
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]},
    }


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def listener(case, stage, check):
    workload = case.workload
    action = {"hello": direct(200, {"inline_string": "hello world"}),
              "page": direct(200, {"filename": f"{stage.work}/page.txt"}),
              "nothing": direct(404),
              # Without a limit to the request's time, as nginx has none.
              "sink": {"route": {"cluster": SINK, "timeout": "0s"}}}[workload.behind]
    route = {"match": {"prefix": "/"}, **action}
    if check and workload.seen:
        route["response_headers_to_add"] = [{"header": {"key": "x-bench-seen", "value": "%REQ(x-bench-request)%"}}]
    manager = {
        "@type": EXTENSION + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": workload.name,
        "generate_request_id": False,
        "http_filters": [
            *(wasm(case, index, stage) for index in range(len(workload.filters))),
            {"name": "envoy.filters.http.router",
             "typed_config": {"@type": EXTENSION + "filters.http.router.v3.Router", "suppress_envoy_headers": True}},
        ],
        "route_config": {
            "name": "r",
            "max_direct_response_body_size_bytes": 1 << 20,
            "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route]}],
        },
    }
    return {
        "name": workload.name,
        "address": address(case.port),
        "filter_chains": [{"filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }


def direct(status, body=None):
    return {"direct_response": {"status": status, **({"body": body} if body else {})}}


def wasm(case, index, stage):
    guest, text = case.workload.filters[index]
    name = f"{case.workload.name}-{index}"
    config = {
        "name": name,
        # One VM for all filters of a chain.
        "vm_config": {"runtime": "envoy.wasm.runtime.v8", "vm_id": case.workload.name,
                      "code": {"local": {"filename": f"{stage.filters}/{guest}.wasm"}}},
    }
    if text:
        config["configuration"] = {"@type": STRING, "value": text}
    return {"name": name, "typed_config": {"@type": EXTENSION + "filters.http.wasm.v3.Wasm", "config": config}}
