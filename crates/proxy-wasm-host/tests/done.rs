//! `proxy_done` after an `on_done` that returned false, from every later callback.

use crate::common::guest::{REQUEST, map};
use crate::common::{Guest, Host, MockStream, statuses};
use proxy_wasm_host::CallId;
use proxy_wasm_host::{CallError, CallResponse, GrpcEvent};

/// A guest whose contexts wait at their end. `proxy_done` of the context that the number at
/// address 512 names comes where `finish` is put.
fn waiting() -> (Guest, &'static str) {
    let headers = map(&REQUEST);
    let guest = Guest::new()
        .request_headers(&format!(
            "(i32.store #512 (local.get $0))
             (drop (call $proxy_http_call {{up}} {headers} {{}} {{}} #0 #24))
             (drop (call $proxy_grpc_stream {{up}} {{S}} {{M}} {{}} #24))"
        ))
        .callback(
            "on_done",
            1,
            true,
            "(i32.store #512 (local.get $0)) (drop (call $proxy_log #2 {done})) #0",
        )
        .callback("on_log", 1, false, "(drop (call $proxy_log #2 {log}))")
        .callback(
            "on_delete",
            1,
            false,
            "(drop (call $proxy_log #2 {delete}))
             (call $note (call $proxy_done))
             (call $note (call $proxy_get_header_map_value #6 {:status} @))",
        );
    let finish = "(call $note (call $proxy_set_effective_context (i32.load #512)))
        (call $note (call $proxy_done))
        (call $note (call $proxy_done))";
    (guest, finish)
}

/// What comes when a context that waited is done: both calls of it, then its end, in which there
/// is neither a second `proxy_done` nor the response.
fn finished(host: &Host, log: bool) {
    let (noted, said) = statuses(host.logs());
    assert_eq!(noted, [0, 0, 1, 1, 1]);
    let ends = if log {
        vec!["log", "delete"]
    } else {
        vec!["delete"]
    };
    assert_eq!(said, ends);
}

#[test]
fn a_stream_is_done_in_any_later_callback() {
    type Later = fn(&mut Host) -> Result<(), CallError>;
    let later: [(&str, usize, Later); 5] = [
        ("on_tick", 1, |host| host.vm.on_tick(host.root)),
        ("on_queue_ready", 2, |host| {
            host.vm.on_queue_ready(host.root, 1)
        }),
        ("on_http_call_response", 5, |host| {
            let response = CallResponse {
                headers: crate::common::stream::pairs(&[(":status", "200")]),
                ..CallResponse::default()
            };
            host.vm.on_http_call_response(CallId::new(4), response)
        }),
        ("on_grpc_receive", 3, |host| {
            host.vm
                .on_grpc(CallId::new(6), GrpcEvent::Message(Vec::new()))
        }),
        ("on_foreign_function", 3, |host| {
            host.vm.on_foreign_function(host.root, 1, b"")
        }),
    ];
    for (name, params, call) in later {
        let (guest, finish) = waiting();
        let mut host = Host::start(&guest.callback(name, params, false, finish).wat());
        let stream = MockStream::default();
        let id = host.stream(&stream);
        host.proxy.set_detach(true);
        host.vm.on_request_headers(id, 0, true).unwrap();
        host.proxy.take_events();
        host.vm.finish(id, true).unwrap();
        assert_eq!(host.logs(), ["done"]);
        assert_eq!(host.vm.context_count(), 1, "{name}");
        assert_eq!(stream.handles(), 1, "the stream itself is gone");
        // Its calls do not need it any more, and go on.
        assert_eq!(host.proxy.take_events(), ["detach 4", "detach 6"], "{name}");

        call(&mut host).unwrap();
        finished(&host, true);
        assert_eq!(host.vm.context_count(), 0, "{name}");
        // They are the root context's now, and are told of.
        assert_eq!(host.proxy.take_events(), [""; 0], "{name}");
        assert!(host.vm.has_calls(), "{name}");
    }
}

#[test]
fn a_proxy_that_cannot_detach_cancels_the_calls_of_a_context_that_waits() {
    let (guest, _) = waiting();
    let mut host = Host::start(&guest.wat());
    let id = host.stream(&MockStream::default());
    host.vm.on_request_headers(id, 0, true).unwrap();
    host.proxy.take_events();
    host.vm.finish(id, true).unwrap();
    assert_eq!(host.vm.context_count(), 1);
    assert_eq!(host.proxy.take_events(), ["cancel 4", "cancel 6"]);
}

#[test]
fn a_root_context_is_done_after_shutdown() {
    for name in ["on_tick", "on_queue_ready"] {
        let (guest, finish) = waiting();
        let params = if name == "on_tick" { 1 } else { 2 };
        let mut host = Host::start(&guest.callback(name, params, false, finish).wat());
        host.vm.shutdown();
        assert_eq!(host.logs(), ["done"]);
        // It waits; a stream cannot be made in it any more.
        let stream = host.vm.create_stream(host.root, MockStream::default());
        assert_eq!(stream, Err(CallError::UnknownContext));
        let root = host.root;
        let mut call = || match name {
            "on_tick" => host.vm.on_tick(root),
            _ => host.vm.on_queue_ready(root, 1),
        };
        call().unwrap();
        let again = call();
        finished(&host, false);
        assert_eq!(again, Err(CallError::UnknownContext));
    }
}

#[test]
fn a_root_context_that_waits_is_told_of_its_calls() {
    let headers = map(&REQUEST);
    let (guest, finish) = waiting();
    let guest = guest
        .callback(
            "on_tick",
            1,
            false,
            &format!("(drop (call $proxy_http_call {{up}} {headers} {{}} {{}} #0 #24))"),
        )
        .callback("on_http_call_response", 5, false, finish);
    let mut host = Host::start(&guest.wat());
    host.vm.on_tick(host.root).unwrap();
    host.vm.shutdown();
    assert_eq!(host.logs(), ["done"]);
    host.proxy.take_events();
    let error = CallResponse {
        error: "timeout".into(),
        ..CallResponse::default()
    };
    host.vm
        .on_http_call_response(CallId::new(4), error)
        .unwrap();
    finished(&host, false);
    assert_eq!(host.proxy.take_events(), [""; 0]);
}

#[test]
fn so_many_may_wait_and_the_others_end_at_once() {
    const MOST: usize = 10_000;
    let guest = Guest::new()
        .callback("on_done", 1, true, "#0")
        .callback("on_log", 1, false, "(drop (call $proxy_log #2 {log}))")
        .callback(
            "on_delete",
            1,
            false,
            "(drop (call $proxy_log #2 {delete}))",
        );
    let mut host = Host::start(&guest.wat());
    for _ in 0..MOST {
        let id = host.stream(&MockStream::default());
        host.vm.finish(id, true).unwrap();
    }
    assert_eq!(host.vm.context_count(), MOST);
    assert!(host.logs().is_empty());
    let id = host.stream(&MockStream::default());
    host.vm.finish(id, true).unwrap();
    assert_eq!(host.vm.context_count(), MOST);
    assert_eq!(statuses(host.logs()).1, ["log", "delete"]);
}
