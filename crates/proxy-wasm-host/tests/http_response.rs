//! HTTP calls: what the guest is told of the response, and whose call it is.

use crate::common::guest::http_call as call;
use crate::common::{Guest, Host, MockStream, statuses};
use proxy_wasm_host::CallId;
use proxy_wasm_host::ContextId;
use proxy_wasm_host::{Action, CallError, CallResponse, MapType};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const INVALID_MEMORY: u32 = 6;

fn response() -> CallResponse {
    let pairs = |list: &[(&str, &str)]| crate::common::stream::pairs(list);
    CallResponse {
        headers: pairs(&[(":status", "200"), ("Set-Cookie", "a"), ("set-cookie", "b")]),
        body: b"0123456789".to_vec(),
        trailers: pairs(&[("t", "v")]),
        error: String::new(),
    }
}

fn failure(error: &str) -> CallResponse {
    CallResponse {
        error: error.into(),
        ..CallResponse::default()
    }
}

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

/// Says all that a response has; notes the statuses.
const READ: &str = r"
    (call $note (call $proxy_get_header_map_value #6 {:status} @)) (call $say)
    (call $note (call $proxy_get_header_map_value #6 {SET-cookie} @)) (call $say)
    (call $note (call $proxy_get_header_map_value #6 {none} @))
    (call $note (call $proxy_get_header_map_value #7 {t} @)) (call $say)
    (call $note (call $proxy_get_header_map_pairs #6 @)) (call $say_number_at (i32.load #16))
    (call $note (call $proxy_get_header_map_pairs #7 @)) (call $say_number_at (i32.load #16))
    (call $note (call $proxy_get_buffer_status #4 #16 #20)) (call $say_number_at #16)
    (call $note (call $proxy_get_buffer_bytes #4 #2 #3 @)) (call $say)
    (call $note (call $proxy_get_buffer_bytes #4 #8 #1000 @)) (call $say)
    (call $note (call $proxy_get_buffer_bytes #4 #99 #1 @)) (call $say)
    (call $note (call $proxy_get_property {call\0error} @))";

const NUMBERS: &str = "
    (call $say_number (i64.extend_i32_u (local.get $0)))
    (call $say_number (i64.extend_i32_u (local.get $1)))
    (call $say_number (i64.extend_i32_u (local.get $2)))
    (call $say_number (i64.extend_i32_u (local.get $3)))
    (call $say_number (i64.extend_i32_u (local.get $4)))";

#[test]
fn the_root_context_reads_the_response_until_it_returns() {
    let guest = Guest::new()
        .request_headers(&call("up"))
        .callback(
            "on_http_call_response",
            5,
            false,
            &format!("{NUMBERS} {READ}"),
        )
        .callback("on_tick", 1, false, READ);
    let (mut host, _) = start(guest);
    host.logs();
    host.vm
        .on_http_call_response(CallId::new(4), response())
        .unwrap();
    let (noted, said) = statuses(host.logs());
    let missing = NOT_FOUND;
    assert_eq!(
        noted,
        [OK, OK, missing, OK, OK, OK, OK, OK, OK, OK, missing]
    );
    assert_eq!(
        said,
        [
            // The root context's number, the call's, headers, body, trailers.
            "1", "4", "3", "10", "1", "200", "a", "v", "3", "1", "10", "234", "89", ""
        ]
    );

    // Afterwards there is nothing.
    host.vm.on_tick(host.root).unwrap();
    let (noted, _) = statuses(host.logs());
    assert_eq!(
        noted,
        [
            missing, missing, missing, missing, OK, OK, missing, missing, missing, missing, missing
        ]
    );
    // It came once.
    host.vm
        .on_http_call_response(CallId::new(4), response())
        .unwrap();
    assert_eq!(host.logs(), [""; 0]);
}

#[test]
fn a_failure_has_no_headers_and_its_reason_is_a_property() {
    let guest = Guest::new()
        .request_headers(&call("up"))
        .callback(
            "on_http_call_response",
            5,
            false,
            &format!(
                r"{NUMBERS}
                (call $note (call $proxy_get_header_map_value #6 {{:status}} @))
                (call $note (call $proxy_get_property {{call\0error}} @)) (call $say)
                (call $note (call $proxy_set_effective_context #2))
                (call $note (call $proxy_get_property {{call\0error}} @)) (call $say)"
            ),
        )
        .callback(
            "on_request_body",
            3,
            true,
            r"(call $note (call $proxy_get_property {call\0error} @)) #0",
        );
    let (mut host, id) = start(guest);
    host.logs();
    let error = failure("connection refused");
    host.vm
        .on_http_call_response(CallId::new(4), error)
        .unwrap();
    let (noted, said) = statuses(host.logs());
    assert_eq!(noted, [NOT_FOUND, OK, OK, OK]);
    let refused = "connection refused";
    assert_eq!(said, ["1", "4", "0", "0", "0", refused, refused]);
    host.vm
        .on_request_body(ContextId::new(id), 0, true)
        .unwrap();
    assert_eq!(statuses(host.logs()).0, [NOT_FOUND]);
}

#[test]
fn a_response_cannot_be_changed() {
    let guest = Guest::new().request_headers(&call("up")).callback(
        "on_http_call_response",
        5,
        false,
        "(drop (call $proxy_set_effective_context #2))
         (call $note (call $proxy_add_header_map_value #6 {a} {b}))
         (call $note (call $proxy_replace_header_map_value #6 {:status} {b}))
         (call $note (call $proxy_remove_header_map_value #7 {t}))
         (call $note (call $proxy_set_header_map_pairs #6 #0 #0))
         (call $note (call $proxy_set_buffer_bytes #4 #0 #1 {x}))
         (call $note (call $proxy_get_header_map_value #6 {:status} @)) (call $say)",
    );
    let (mut host, _) = start(guest);
    host.logs();
    host.vm
        .on_http_call_response(CallId::new(4), response())
        .unwrap();
    let (noted, said) = statuses(host.logs());
    let bad = BAD_ARGUMENT;
    assert_eq!(noted, [bad, bad, bad, bad, bad, OK]);
    assert_eq!(said, ["200"]);
}

#[test]
fn bad_result_addresses_of_a_response() {
    let guest = Guest::new().request_headers(&call("up")).callback(
        "on_http_call_response",
        5,
        false,
        "(call $note (call $proxy_get_header_map_value #6 {:status} #65533 #16))
         (call $note (call $proxy_get_header_map_pairs #6 #16 #65533))
         (call $note (call $proxy_get_buffer_bytes #4 #0 #1 #-1 #16))
         (call $note (call $proxy_get_buffer_status #4 #16 #65533))",
    );
    let (mut host, _) = start(guest);
    host.logs();
    host.vm
        .on_http_call_response(CallId::new(4), response())
        .unwrap();
    assert_eq!(statuses(host.logs()).0, [INVALID_MEMORY; 4]);
}

#[test]
fn the_effective_context_owns_what_it_calls_and_gets_what_it_resumes() {
    // The root's response callback acts for the stream: it reads the request, resumes it, and
    // calls again in its name.
    let guest = Guest::new().request_headers(&call("one")).callback(
        "on_http_call_response",
        5,
        false,
        &format!(
            "(call $note (call $proxy_get_header_map_value #0 {{who}} @))
             {}
             (call $note (call $proxy_set_effective_context #2))
             (call $note (call $proxy_get_header_map_value #0 {{who}} @)) (call $say)
             {}
             (call $note (call $proxy_continue_stream #0))",
            call("two"),
            call("three")
        ),
    );
    let mut host = Host::start(&guest.wat());
    let stream = MockStream::default()
        .named("s")
        .map(MapType::RequestHeaders, &[("who", "me")]);
    let id = host.stream(&stream);
    host.vm.on_request_headers(id, 0, true).unwrap();
    host.logs();
    host.vm
        .on_http_call_response(CallId::new(4), response())
        .unwrap();
    let (noted, said) = statuses(host.logs());
    assert_eq!(noted, [NOT_FOUND, OK, OK, OK, OK, OK]);
    assert_eq!(said, ["me"]);
    assert_eq!(stream.take_events(), ["continue Request"]);
    let owners: Vec<_> = host
        .proxy
        .take_events()
        .iter()
        .map(|event| event.split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        owners,
        [
            "http 4 one of s",
            "http 8 two of root",
            "http 12 three of s"
        ]
    );
    // The stream's call goes with it, the root's with the root.
    host.vm.finish(id, true).unwrap();
    assert_eq!(host.proxy.take_events(), ["cancel 12"]);
    host.vm.shutdown();
    assert_eq!(host.proxy.take_events(), ["cancel 8"]);
}

#[test]
fn calls_end_with_their_context() {
    let guest = Guest::new()
        .request_headers(&call("up"))
        .callback("on_done", 1, true, &format!("{} #1", call("late")))
        .callback(
            "on_http_call_response",
            5,
            false,
            "(drop (call $proxy_log #2 {response}))",
        );
    let (mut host, id) = start(guest);
    let stream = MockStream::default().named("other");
    let other = host.stream(&stream);
    host.vm.on_request_headers(other, 0, true).unwrap();
    host.proxy.take_events();
    host.vm.finish(ContextId::new(id), true).unwrap();
    let events = host.proxy.take_events();
    assert!(events[0].starts_with("http 12 late of s"), "{events:?}");
    assert_eq!(events[1..], ["cancel 4", "cancel 12"]);
    host.logs();
    // Too late.
    host.vm
        .on_http_call_response(CallId::new(4), response())
        .unwrap();
    assert_eq!(host.logs(), [""; 0]);
    host.vm
        .on_http_call_response(CallId::new(8), response())
        .unwrap();
    assert_eq!(host.logs(), ["response"]);
    host.vm.finish(other, true).unwrap();
    // The answered call is no more, and was no more to be cancelled.
    assert_eq!(host.proxy.take_events()[1..], ["cancel 16"]);
}

#[test]
fn a_call_may_outlive_its_stream_where_the_proxy_says_so() {
    let guest = Guest::new().request_headers(&call("up")).callback(
        "on_http_call_response",
        5,
        false,
        "(call $note (call $proxy_set_effective_context #2))
         (drop (call $proxy_log #2 {response}))",
    );
    let (mut host, id) = start(guest);
    host.proxy.take_events();
    host.proxy.set_detach(true);
    host.vm.finish(ContextId::new(id), true).unwrap();
    assert_eq!(host.proxy.take_events(), ["detach 4"]);
    host.logs();
    host.vm
        .on_http_call_response(CallId::new(4), response())
        .unwrap();
    let (noted, said) = statuses(host.logs());
    assert_eq!(noted, [BAD_ARGUMENT], "the stream is gone");
    assert_eq!(said, ["response"]);

    // At the end of the root context it is cancelled all the same.
    let id = host.stream(&MockStream::default());
    host.vm.on_request_headers(id, 0, true).unwrap();
    host.vm.finish(id, true).unwrap();
    host.proxy.take_events();
    host.vm.shutdown();
    assert_eq!(host.proxy.take_events(), ["cancel 8"]);
}

#[test]
fn responses_of_unknown_calls_are_dropped() {
    let guest = Guest::new().request_headers(&call("up")).callback(
        "on_http_call_response",
        5,
        false,
        "(drop (call $proxy_log #2 {response}))",
    );
    let (mut host, _) = start(guest);
    host.logs();
    for id in [0, 1, 5, 6, 8, u32::MAX] {
        host.vm
            .on_http_call_response(CallId::new(id), response())
            .unwrap();
    }
    assert_eq!(host.logs(), [""; 0]);
    // A guest without the callback does not mind.
    let (mut host, id) = start(Guest::new().request_headers(&call("up")));
    host.vm
        .on_http_call_response(CallId::new(4), response())
        .unwrap();
    host.proxy.take_events();
    host.vm.finish(ContextId::new(id), true).unwrap();
    assert_eq!(host.proxy.take_events(), [""; 0]);
}

#[test]
fn a_trap_in_a_response() {
    let guest = Guest::new().request_headers(&call("up")).callback(
        "on_http_call_response",
        5,
        false,
        "unreachable",
    );
    let (mut host, id) = start(guest);
    let error = host
        .vm
        .on_http_call_response(CallId::new(4), response())
        .unwrap_err();
    assert!(
        matches!(
            error,
            CallError::Trap {
                callback: "proxy_on_http_call_response",
                ..
            }
        ),
        "{error}"
    );
    assert!(host.vm.poisoned());
    assert_eq!(
        host.vm.on_http_call_response(CallId::new(8), response()),
        Err(CallError::Poisoned)
    );
    host.vm.finish(ContextId::new(id), true).unwrap();
}
