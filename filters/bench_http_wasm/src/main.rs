//! Sets a request header: what the least of a middleware does.

use http_wasm_guest::host::{Request, Response};
use http_wasm_guest::{Guest, register};

struct Middleware;

impl Guest for Middleware {
    fn handle_request(&self, request: &Request, _: &Response) -> (bool, i32) {
        request.header.set(b"x-bench-request", b"1");
        (true, 0)
    }
}

fn main() {
    register(Middleware);
}
