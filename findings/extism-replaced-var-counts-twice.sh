#!/usr/bin/env bash
# Extism's own host counts the old value of a var when a new one takes its place.
#
# Expected: memory.max_var_bytes bounds what the vars of a plugin hold. So a var of 500 bytes can become one of 900
#   where 1000 bytes are allowed.
# Seen: the set is refused ("Variable store is full"), and the call fails. Removing the var first, in the same call,
#   lets the same set pass. What is counted is every var that is there, the one to be replaced too, with its key and
#   48 bytes for each, and then the new one.
# With: extism-sys 1.41.0 (libextism) by extism 1.1.1 (both PyPI); wasmtime 38.0.0 (PyPI) for the text format alone.
# Why it matters: a plugin that keeps its state in one var can use little more than half of the budget; it works
#   until the state has grown to that. Give the budget twice the size of the largest var, or remove it before.
#
# Exit: 0 as described, 1 it has changed, 2 it could not be tried.
set -Eeuo pipefail
trap 'echo "cannot try: line $LINENO failed" >&2; exit 2' ERR
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check extism==1.1.1 extism-sys==1.41.0 wasmtime==38.0.0

cat >try.py <<'PY'
import sys
import extism
from wasmtime import wat2wasm

GUEST = """
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
  (func $key (result i64) (local $at i64)
    (local.set $at (call $alloc (i64.const 1)))
    (call $store (local.get $at) (i32.const 97))
    (local.get $at))
  (func $set (param $size i64)
    (call $var_set (call $key) (call $alloc (local.get $size))))
  (func (export "small") (result i32) (call $set (i64.const 500)) (i32.const 0))
  (func (export "large") (result i32) (call $set (i64.const 900)) (i32.const 0))
  (func (export "removed_first") (result i32)
    (call $var_set (call $key) (i64.const 0))
    (call $set (i64.const 900))
    (i32.const 0)))
"""


def calls(*names):
    manifest = {"wasm": [{"data": bytes(wat2wasm(GUEST))}], "memory": {"max_var_bytes": 1000}}
    plugin = extism.Plugin(manifest)
    answers = []
    for name in names:
        try:
            plugin.call(name, b"")
            answers.append("set")
        except extism.Error:
            answers.append("refused")
    return answers


seen = {
    "900 bytes alone": calls("large"),
    "500 bytes, then 900": calls("small", "large"),
    "500 bytes, removed, then 900": calls("small", "removed_first"),
}
for what, answers in seen.items():
    print(f"{what}: {', '.join(answers)}")
wanted = [["set"], ["set", "refused"], ["set", "set"]]
sys.exit(0 if list(seen.values()) == wanted else 3)
PY
if venv/bin/python try.py; then
    echo "as described: a var that is replaced counts twice"
else
    rc=$?
    [ "$rc" = 3 ] || exit 2
    echo "changed" >&2
    exit 1
fi
