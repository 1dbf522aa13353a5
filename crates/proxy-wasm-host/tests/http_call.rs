//! HTTP calls: what arrives at the proxy.

use crate::common::guest::{REQUEST, http_call as call, map};
use crate::common::{Guest, Host, MockStream, statuses};
use proxy_wasm_host::CallId;
use proxy_wasm_host::ContextId;
use proxy_wasm_host::{Action, CallResponse};

const OK: u32 = 0;
const BAD_ARGUMENT: u32 = 2;
const INVALID_MEMORY: u32 = 6;
const INTERNAL_FAILURE: u32 = 10;

/// Runs a body as `proxy_on_request_headers` of the stream `s`.
fn start(guest: Guest) -> (Host, u32) {
    let mut host = Host::start(&guest.wat());
    let id = host.stream(&MockStream::default().named("s"));
    host.logs();
    assert_eq!(
        host.vm.on_request_headers(id, 0, true),
        Ok(Action::Continue)
    );
    (host, id.get())
}

#[test]
fn all_of_a_request_arrives_at_the_proxy() {
    let headers = map(&[
        (":authority", "a"),
        ("x", "1"),
        (":method", "POST"),
        ("x", "2"),
        (":path", "/p"),
    ]);
    let trailers = map(&[("t", "v")]);
    let (host, _) = start(Guest::new().request_headers(&format!(
        r"(call $note (call $proxy_http_call {{up}} {headers} {{body\0}} {trailers} #1500 #24))
          (call $say_number_at #24)
          (call $note (call $proxy_http_call {{up}} {headers} {{}} {{}} #0 #24))
          (call $say_number_at #24)"
    )));
    assert_eq!(host.logs(), ["=0", "4", "=0", "8"]);
    assert_eq!(
        host.proxy.take_events(),
        [
            r"http 4 up of s: [:authority=a,x=1,:method=POST,x=2,:path=/p] body\x00 [t=v] 1.5s",
            "http 8 up of s: [:authority=a,x=1,:method=POST,x=2,:path=/p]  [] 0ns",
        ]
    );
}

#[test]
fn host_is_authority() {
    let headers = map(&[(":method", "GET"), ("Host", "a"), (":path", "/")]);
    let (host, _) = start(Guest::new().request_headers(&format!(
        "(call $note (call $proxy_http_call {{up}} {headers} {{}} {{}} #0 #24))"
    )));
    assert_eq!(host.logs(), ["=0"]);
    assert_eq!(
        host.proxy.take_events(),
        ["http 4 up of s: [:method=GET,:authority=a,:path=/]  [] 0ns"]
    );
}

#[test]
fn incomplete_requests_and_unknown_upstreams() {
    let mut body = String::new();
    for missing in 0..REQUEST.len() {
        let mut headers = REQUEST.to_vec();
        headers.remove(missing);
        let headers = map(&headers);
        body += &format!("(call $note (call $proxy_http_call {{up}} {headers} {{}} {{}} #0 #24))");
    }
    let headers = map(&REQUEST);
    body += &format!(
        r"(call $note (call $proxy_http_call {{up}} {{}} {{}} {{}} #0 #24))
          (call $note (call $proxy_http_call {{up}} {{\x01\0}} {{}} {{}} #0 #24))
          (call $note (call $proxy_http_call {{up}} {headers} {{}} {{\x01\0\0\0}} #0 #24))
          (call $note (call $proxy_http_call {{up}} {headers} {{}} {{}} #-1 #24))
          {} {} (call $say_number_at #24) {} (call $say_number_at #24)",
        call("unknown"),
        call("broken"),
        call("up")
    );
    let (host, _) = start(Guest::new().request_headers(&body));
    let (statuses, said) = statuses(host.logs());
    let bad = BAD_ARGUMENT;
    assert_eq!(
        statuses,
        [bad, bad, bad, bad, bad, bad, bad, bad, INTERNAL_FAILURE, OK]
    );
    // No id of a call that was none.
    assert_eq!(said[0], "0");
    assert_eq!(host.proxy.take_events().len(), 1);
}

#[test]
fn bad_addresses_start_no_call() {
    let h = map(&REQUEST);
    let (host, _) = start(Guest::new().request_headers(&format!(
        "(call $note (call $proxy_http_call #65535 #2 {h} {{}} {{}} #0 #24))
         (call $note (call $proxy_http_call {{up}} #65536 #1 {{}} {{}} #0 #24))
         (call $note (call $proxy_http_call {{up}} #16 #-1 {{}} {{}} #0 #24))
         (call $note (call $proxy_http_call {{up}} {h} #-1 #1 {{}} #0 #24))
         (call $note (call $proxy_http_call {{up}} {h} {{}} #65530 #7 #0 #24))
         (call $note (call $proxy_http_call {{up}} {h} {{}} {{}} #0 #65533))
         (call $note (call $proxy_http_call {{up}} {h} {{}} {{}} #0 #-4))"
    )));
    assert_eq!(statuses(host.logs()).0, [INVALID_MEMORY; 7]);
    assert_eq!(host.proxy.take_events(), [""; 0]);
}

#[test]
fn calls_of_root_contexts() {
    let call = call("up");
    let guest = Guest::new()
        .callback("on_context_create", 2, false, &call)
        .callback("on_vm_start", 2, true, &format!("{call} #1"))
        .callback("on_configure", 2, true, &format!("{call} #1"))
        .callback("on_tick", 1, false, &call)
        .callback("on_queue_ready", 2, false, &call)
        .callback("on_http_call_response", 5, false, &call);
    let mut host = Host::start(&guest.wat());
    host.vm.on_tick(host.root).unwrap();
    host.vm.on_queue_ready(host.root, 1).unwrap();
    host.vm
        .on_http_call_response(CallId::new(4), CallResponse::default())
        .unwrap();
    assert_eq!(statuses(host.logs()).0, [OK; 6]);
    let events = host.proxy.take_events();
    assert_eq!(events.len(), 6);
    assert!(events.iter().all(|event| event.contains("up of root")));
    host.vm.shutdown();
    assert_eq!(
        host.proxy.take_events(),
        [
            "cancel 8",
            "cancel 12",
            "cancel 16",
            "cancel 20",
            "cancel 24"
        ]
    );
}

#[test]
fn no_call_without_a_context() {
    let guest = Guest::new().with(&format!(r#"(func (export "_initialize") {})"#, call("up")));
    let host = Host::start(&guest.wat());
    assert_eq!(statuses(host.logs()).0, [BAD_ARGUMENT]);
    assert_eq!(host.proxy.take_events(), [""; 0]);
}

#[test]
fn there_is_a_limit_of_calls() {
    let body = format!(
        "(local $n i32)
         (loop $more
            (drop (call $proxy_http_call {{up}} {0} {{}} {{}} #0 #24))
            (local.set $n (i32.add (local.get $n) #1))
            (br_if $more (i32.lt_u (local.get $n) #10000)))
         {1}",
        map(&REQUEST),
        call("up")
    );
    let (mut host, id) = start(Guest::new().request_headers(&body));
    assert_eq!(statuses(host.logs()).0, [INTERNAL_FAILURE]);
    assert_eq!(host.proxy.take_events().len(), 10_000);
    host.vm.finish(ContextId::new(id), true).unwrap();
    assert_eq!(host.proxy.take_events().len(), 10_000, "all are cancelled");
}
