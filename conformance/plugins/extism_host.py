"""Runs one case on libextism, in a process of its own: its log is the process's, and so are its faults.

    python extism_host.py <case.json >seen.json

The case: {"file", "calls": [[function, input in base64]], "config", "manifest", "wasm", "wasi", "functions", "http_headers",
"level"}; what was seen:
{"load": text of an error, or null, "calls": [[code, output in base64, error or null]], "log": [lines]}.
"""

import base64
import json
import sys

import extism
from extism_sys import ffi, lib


@extism.host_fn(signature=([extism.ValType.PTR], [extism.ValType.PTR]))
def reverse(plugin, params, results):
    plugin.return_bytes(results[0], plugin.input_bytes(params[0])[::-1])


@extism.host_fn(signature=([extism.ValType.I64, extism.ValType.I64], [extism.ValType.I64]))
def add(plugin, params, results):
    total = (params[0].value + params[1].value) % (1 << 64)
    results[0].value = total - (1 << 64) if total >> 63 else total


FUNCTIONS = list(extism.extism.HOST_FN_REGISTRY)


def call(plugin, function, data):
    """Code, output and error, of which the SDK's own call() gives one only."""
    code = lib.extism_plugin_call(plugin.plugin, function.encode(), data, len(data))
    error = lib.extism_plugin_error(plugin.plugin)
    error = None if error == ffi.NULL else ffi.string(error).decode("utf-8", "replace")
    size = lib.extism_plugin_output_length(plugin.plugin)
    output = bytes(ffi.buffer(lib.extism_plugin_output_data(plugin.plugin), size)) if size else b""
    return [code, base64.b64encode(output).decode(), error]


def run(case):
    lines = []
    logger = extism.set_log_custom(lines.append, case["level"]) if case["level"] else None
    manifest = {"wasm": [{"path": case["file"], **case["wasm"]}], "config": case["config"], **case["manifest"]}
    seen = {"load": None, "calls": [], "log": lines}
    try:
        plugin = extism.Plugin(manifest, wasi=case["wasi"], functions=FUNCTIONS if case["functions"] else [])
    except extism.Error as error:
        seen["load"] = str(error)
        return seen
    if case["http_headers"]:
        lib.extism_plugin_allow_http_response_headers(plugin.plugin)
    seen["calls"] = [call(plugin, function, base64.b64decode(data)) for function, data in case["calls"]]
    if logger:
        logger.drain()
    return seen


if __name__ == "__main__":
    json.dump(run(json.load(sys.stdin)), sys.stdout)
