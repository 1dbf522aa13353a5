//! The servers of a request's upstream: what the guest is told, and what it chooses.

use crate::common::{Guest, Host, MockStream};
use proxy_wasm_host::Action;

const READ: &str = "(call $note (call $proxy_get_upstream_hosts @))
    (if (i32.load (i32.const 20)) (then (call $say)))";

fn run(body: &str, stream: &MockStream) -> Vec<String> {
    let mut host = Host::start(&Guest::new().request_headers(body).wat());
    let id = host.stream(stream);
    host.logs();
    assert_eq!(
        host.vm.on_request_headers(id, 0, true),
        Ok(Action::Continue)
    );
    host.logs()
}

#[test]
fn the_servers_are_a_map() {
    let stream = MockStream::default().with_hosts(&[("10.0.0.1:80", "{}"), ("b", "")]);
    let map = "\x02\x00\x00\x00\x0b\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x0010.0.0.1:80\x00{}\x00b\x00\x00";
    assert_eq!(run(READ, &stream), ["=0", map]);
    let none = MockStream::default().with_hosts(&[]);
    assert_eq!(run(READ, &none), ["=0", "\0\0\0\0"]);
    assert_eq!(run(READ, &MockStream::default()), ["=1"]);
    let bad = "(call $note (call $proxy_get_upstream_hosts #16 #-1))";
    assert_eq!(run(bad, &stream), ["=6"]);
}

#[test]
fn a_server_is_chosen() {
    let stream = MockStream::default();
    let body = "(call $note (call $proxy_set_upstream_override_host {10.0.0.1:80}))
        (call $note (call $proxy_set_upstream_override_host {}))
        (call $note (call $proxy_set_upstream_override_host #-1 #2))";
    assert_eq!(run(body, &stream), ["=0", "=0", "=6"]);
    assert_eq!(stream.take_events(), ["choose 10.0.0.1:80", "choose "]);
}

#[test]
fn root_contexts_have_no_upstream() {
    let host = Host::start(
        &Guest::new()
            .callback(
                "on_configure",
                2,
                true,
                "(call $note (call $proxy_get_upstream_hosts @))
                 (call $note (call $proxy_set_upstream_override_host {a:1})) #1",
            )
            .wat(),
    );
    assert_eq!(host.logs(), ["=1", "=2"]);
}
