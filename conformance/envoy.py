"""Envoy under test: its configuration, its process, what its guests log."""

import re

PREFIX = "type.googleapis.com/envoy.extensions."
STRING = "type.googleapis.com/google.protobuf.StringValue"


def configuration(cases, ports, upstreams, guests):
    """`ports`: of each case; `upstreams`: name → port, of all cases; `guests`: name → file."""
    return {
        "static_resources": {
            "listeners": [listener(case, ports[case.id], guests) for case in cases],
            "clusters": [
                cluster(name, port, name.startswith("grpc")) for name, port in upstreams.items()
            ],
        },
        "stats_config": {"stats_matcher": {"reject_all": False}},
    }


def cluster(name, port, http2):
    conf = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}],
        },
    }
    if http2:
        conf["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": PREFIX + "upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        }
    else:
        conf["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": PREFIX + "upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {"enable_trailers": True}},
            }
        }
    return conf


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def listener(case, port, guests):
    manager = {
        "@type": PREFIX + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": case.id,
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
        "http_protocol_options": {"enable_trailers": True},
        "http_filters": [
            *(wasm(case, index, guests) for index in range(len(case.filters))),
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": PREFIX + "filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            },
        ],
        "route_config": {
            "name": "r",
            "virtual_hosts": [
                {
                    "name": "v",
                    "domains": ["*"],
                    "routes": [
                        *({"match": {"prefix": p}, "route": {"cluster": f"{c}-{case.id}"}} for p, c in case.routes),
                        {"match": {"prefix": "/"}, "route": {"cluster": f"up-{case.id}"}},
                    ],
                }
            ],
        },
    }
    return {
        "name": case.id,
        "address": address(port),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def wasm(case, index, guests):
    filter = case.filters[index]
    name = case.vm(index)
    vm = {
        "runtime": "envoy.wasm.runtime.v8",
        "code": {"local": {"filename": guests[filter.guest]}},
        "vm_id": case.vm(index),
    }
    if filter.vm_config is not None:
        vm["configuration"] = {"@type": STRING, "value": case.text(filter.vm_config)}
    config = {"name": name, "root_id": "", "vm_config": vm}
    if filter.config:
        config["configuration"] = {"@type": STRING, "value": case.text(filter.config)}
    return {
        "name": name,
        "typed_config": {"@type": PREFIX + "filters.http.wasm.v3.Wasm", "config": config},
    }


LINE = re.compile(r"^\[[^]]*\]\[\d+\]\[(\w+)\]\[wasm\] \[[^]]*\] wasm log (\w+)\.(\w+)[^:]*: (.*)$")


def parse(line):
    """(case, filter, level, message) of a line that a guest logged, else None."""
    found = LINE.match(line)
    return found and (found[2], found[3], found[1], found[4])
