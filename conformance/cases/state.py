"""Shared data, queues, metrics, foreign functions, properties between filters, ticks, the ends of contexts."""

from case import Case
from ops import PAUSE, get, hostcalls, show


def data(key, *more):
    return [["get_shared_data", key, "v"], show(f"data {key}", {"var": "v"}), *more]


def metric(type, name, *ops):
    return [["define_metric", type, name, "m"], *ops]


VALUE = [["get_metric", {"var": "m"}, "v"], show("metric", {"var": "v"})]
INCREMENT = lambda by: ["increment_metric", {"var": "m"}, by]
RECORD = lambda value: ["record_metric", {"var": "m"}, value]
DRAIN = [["repeat", 9, [["dequeue", {"var": "queue"}, "message"], ["if", {"var": "status"}, "0", [show("message", {"var": "message"})], [["break"]]]]]]
POST = {"method": "POST", "body": b"hello"}
# Arguments of declare_property: name, read-only, type, how long it lives.
DECLARE = {"hex": "0a046465636c"}
# The same, read-only and for a string.
DECLARE_READ_ONLY = {"hex": "0a0472656164" + "1001" + "1801"}
# Arguments of set_envoy_filter_state: a name that Envoy knows, and one that it does not, with a value.
KNOWN_STATE = {"hex": (b"\x0a\x17envoy.tcp_proxy.cluster\x12\x05value").hex()}
OTHER_STATE = {"hex": (b"\x0a\x05other\x12\x05value").hex()}


def foreign(name, arguments, *then):
    return [["call_foreign_function", name, arguments, "r"], *then]


CASES = [
    Case("shared/get_set", hostcalls(request_headers=[*data("k"), ["set_shared_data", "k", "1", 0], *data("k"), ["set_shared_data", "k", "2", {"var": "v.cas"}], *data("k"),
        ["set_shared_data", "k", "3", 4000000], *data("k"), ["set_shared_data", "k", "", 0], *data("k"), ["set_shared_data", "", "empty key", 0], *data("")]), [{}, {}]),
    Case("shared/create_with_cas", hostcalls(request_headers=[["set_shared_data", "new", "1", 4000000], *data("new")]), {}),
    Case("shared/other_module", [hostcalls(request_headers=[["set_shared_data", "k", "1", 0]]), hostcalls(request_headers=data("k"))], {}),
    Case("shared/same_vm", [hostcalls(vm="v", request_headers=[["set_shared_data", "k", "1", 0]]), hostcalls(vm="v", request_headers=data("k"))], {}),
    Case("shared/counter", hostcalls(configure=[["set_shared_data", "n", "0", 0]], request_headers=[["repeat", 100, [["get_shared_data", "n", "n"],
        ["set_shared_data", "n", {"add": [{"var": "n"}, 1]}, {"var": "n.cas"}], ["if", {"var": "status"}, "0", [["break"]]]]], show("n", {"var": "n"})]), [{}, {}, {}]),
    Case("shared/misuse", hostcalls(request_headers=[["status", name] for name in ("get_shared_data", "get_shared_data:bad_pointer", "get_shared_data:bad_return", "set_shared_data:bad_pointer",
        "register_shared_queue:bad_pointer", "register_shared_queue:bad_return", "resolve_shared_queue", "resolve_shared_queue:bad_pointer", "enqueue_shared_queue", "enqueue_shared_queue:bad_pointer",
        "dequeue_shared_queue", "dequeue_shared_queue:bad_return", "define_metric:bad_type", "define_metric:bad_pointer", "define_metric:bad_return", "record_metric", "increment_metric", "get_metric",
        "get_metric:bad_return", "call_foreign_function", "call_foreign_function:bad_pointer")]), {}),
    Case("queue/ready", hostcalls(configure=[["register_queue", "q", "q"], ["let_root", "q", {"var": "q"}]], request_headers=[["enqueue", {"var": "q"}, "one"], ["enqueue", {"var": "q"}, ""]],
        queue_ready=[["dequeue", {"var": "queue"}, "m"], show("message", {"var": "m"})], trace=False), {}),
    Case("queue/order", hostcalls(request_headers=[["register_queue", "q", "q"], ["enqueue", {"var": "q"}, "1"], ["enqueue", {"var": "q"}, "2"], ["dequeue", {"var": "q"}, "m"], show("m", {"var": "m"}),
        ["dequeue", {"var": "q"}, "m"], show("m", {"var": "m"}), ["dequeue", {"var": "q"}, "m"]], trace=False), {}),
    Case("queue/same_name", hostcalls(request_headers=[["register_queue", "q", "a"], ["register_queue", "q", "b"], ["if", {"var": "a"}, {"var": "b"}, [["log", "info", "the same"]], [["log", "info", "others"]]],
        ["register_queue", "r", "b"], ["if", {"var": "a"}, {"var": "b"}, [["log", "info", "the same"]], [["log", "info", "others"]]]], trace=False), {}),
    Case("queue/unknown", hostcalls(request_headers=[["resolve_queue", "nobody", "q", "q"], ["enqueue", 999999, "x"], ["dequeue", 999999, "m"]]), {}),
    Case("metric/counter", hostcalls(request_headers=metric("counter", "c", INCREMENT(2), *VALUE, INCREMENT(-1), *VALUE, RECORD(7), *VALUE)), [{}, {}]),
    Case("metric/gauge", hostcalls(request_headers=metric("gauge", "g", INCREMENT(5), INCREMENT(-2), *VALUE, RECORD(40), *VALUE, INCREMENT(-50), *VALUE, RECORD(0))), {}),
    Case("metric/histogram", hostcalls(request_headers=metric("histogram", "h", RECORD(9), INCREMENT(1), *VALUE)), {}),
    Case("metric/defined_again", hostcalls(request_headers=[*metric("counter", "c2", INCREMENT(1)), *metric("counter", "c2", INCREMENT(1), *VALUE)]), {}),
    Case("metric/other_type", hostcalls(request_headers=[*metric("counter", "c3", INCREMENT(1)), *metric("gauge", "c3", *VALUE)]), {}),
    Case("metric/unknown", hostcalls(request_headers=[["increment_metric", 123456, 1], ["record_metric", 123456, 1], ["get_metric", 123456, "v"], ["define_metric", 3, "x", "m"], ["define_metric", "counter", "", "m"]]), {}),
    Case("foreign/compress", hostcalls(request_headers=[*foreign("compress", "hello hello hello"), ["call_foreign_function", "uncompress", {"var": "r"}, "u"], show("uncompressed", {"var": "u"}),
        *foreign("uncompress", "garbage"), *foreign("uncompress", ""), *foreign("compress", ""), ["call_foreign_function", "uncompress", {"var": "r"}, "u"], show("uncompressed", {"var": "u"})]), {}),
    Case("foreign/uncompress", hostcalls(request_headers=[*foreign("uncompress", {"hex": "789ccb48cdc9c95728cf2fca4901001a0b045d"}), show("uncompressed", {"var": "r"})]), {}),
    Case("foreign/unknown", hostcalls(request_headers=[*foreign("nobody", "x"), *foreign("declare_property", {"hex": "ffff"}), *foreign("set_envoy_filter_state", "garbage"), *foreign("verify_signature", "")]), {}),
    Case("foreign/declare_property", [hostcalls(request_headers=[*foreign("declare_property", DECLARE), ["set_property", "decl", "1"], *get("decl", ["filter_state", "wasm.decl"]), *foreign("declare_property", DECLARE)]),
        hostcalls(request_headers=[*get("decl"), ["set_property", "decl", "2"]], response_headers=get("decl"))], {}),
    Case("foreign/declare_property/read_only", hostcalls(request_headers=[*foreign("declare_property", DECLARE_READ_ONLY), ["set_property", "read", "1"], ["set_property", "read", "2"], *get("read")]), {}),
    Case("foreign/set_envoy_filter_state", [hostcalls(request_headers=[*foreign("set_envoy_filter_state", KNOWN_STATE), *get(["filter_state", "envoy.tcp_proxy.cluster"])]),
        hostcalls(request_headers=get(["filter_state", "envoy.tcp_proxy.cluster"]), response_headers=get(["filter_state", "envoy.tcp_proxy.cluster"]))], {}),
    Case("foreign/set_envoy_filter_state/other", hostcalls(request_headers=[*foreign("set_envoy_filter_state", OTHER_STATE), *get(["filter_state", "other"])]), {}),
    Case("foreign/clear_route_cache", hostcalls(request_headers=[["set_header", "request", ":path", "/other/x"], *foreign("clear_route_cache", "")]), {"path": "/start"}, routes=[("/other", "other")]),
    Case("foreign/no_clear_route_cache", hostcalls(request_headers=[["set_header", "request", ":path", "/other/x"]]), {"path": "/start"}, routes=[("/other", "other")]),
    Case("foreign/configure", hostcalls(configure=[*foreign("compress", "abc"), *foreign("clear_route_cache", ""), ["set_property", "a", "b"], *get("a")]), {}, start=True),
    Case("property/set", [hostcalls(request_headers=[["set_property", "flat", "1"], *get("flat", ["filter_state", "wasm.flat"], "unset"), ["set_property", "flat", "2"], *get("flat")]),
        hostcalls(request_headers=[*get("flat")], response_headers=get("flat"))], {}),
    Case("property/set_known", hostcalls(request_headers=[["set_property", "plugin_name", "x"], *get("plugin_name"), ["set_property", ["request", "path"], "/x"], *get("request.path")]), {}, compare=("client", "up")),
    Case("property/request", hostcalls(request_headers=[*get("request.path", "request.url_path", "request.query", "request.host", "request.scheme", "request.method", "request.protocol", "request.useragent",
        "request.referer", ["request", "headers", "x-a"], ["request", "headers", "x-none"], "request.id", "request.nothing", "nothing", ""),
        ["get_property_u64", "request.size"]]), {"path": "/a/b?c=d&e", "headers": [("x-a", "1"), ("user-agent", "ua"), ("referer", "ref"), ("x-request-id", "id1")]}),
    Case("property/request_changed", hostcalls(request_headers=[["set_header", "request", ":path", "/n?q"], ["set_header", "request", ":authority", "n.example"], ["set_header", "request", ":method", "PUT"],
        *get("request.path", "request.url_path", "request.query", "request.host", "request.method")]), {}),
    Case("property/response", hostcalls(response_headers=[["get_property_u64", "response.code"], *get(["response", "headers", "x-up"], ["response", "headers", "x-none"], "response.nothing")],
        response_body_end=[["get_property_u64", "response.code"]], log=[["get_property_u64", "response.code"], ["get_property_u64", "response.flags"], *get("response.code_details", "request.path", ["request", "headers", "x-a"])]), {"headers": [("x-a", "1")]}),
    Case("property/response_early", hostcalls(request_headers=[["get_property_u64", "response.code"], *get(["response", "headers", "x-up"])]), {}),
    Case("property/connection", hostcalls(request_headers=get("connection.mtls", "connection.requested_server_name", "connection.tls_version", "connection.subject_local_certificate", "connection.nothing")), {}),
    Case("property/root", hostcalls(request_headers=[["effective_context", "root"], *get("request.path", "plugin_root_id"), ["effective_context", "own"], *get("request.path")]), {}),
    Case("context/effective", hostcalls(request_headers=[["log_context"], ["effective_context", "root"], ["log_header", "request", ":path"], ["add_header", "request", "x-a", "1"], ["log_body_status", "plugin_configuration"] ,
        ["effective_context", "own"], ["log_header", "request", ":path"], ["effective_context", 77]], trace=True), {}),
    Case("context/tick", hostcalls(request_headers=[["set_tick", 60], PAUSE], tick=[["set_tick", 0], ["log_context"], ["log_header", "request", ":path"], ["effective_context", 2], ["log_header", "request", ":path"], ["continue", "request"]]), {}),
    Case("context/done_deferred", hostcalls(done=[["return_false"]]), {}, ends=False),
    Case("context/two_configurations", [hostcalls(vm="v", request_headers=[["log_context"]]), hostcalls(vm="v", request_headers=[["log_context"]])], {}),
    Case("context/start", hostcalls(vm_config={"trace": True, "vm_start": [["vm_configuration"]]}, configure=[["log_configuration"], ["log_body", "vm_configuration", 0, 9], ["log_body", "plugin_configuration", 1, 3], ["log_headers", "request"], *get("plugin_root_id")]), {}, start=True),
    Case("context/trap", hostcalls(request_headers=[["if_path", "/trap", [["abort"]]]], trace=False), [{"path": "/trap"}], compare=("client", "up")),
    Case("wasi/output", hostcalls(request_headers=[["stdout", "to stdout"], ["stderr", "to stderr"], ["time"], ["env", "HOME"], ["log", "warn", "warned"], ["log", "error", "failed"]]), {}),
]
