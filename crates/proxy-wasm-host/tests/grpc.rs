//! gRPC calls and streams.

use crate::common::guest::{REQUEST, bytes, map};
use crate::common::stream::pairs;
use crate::common::{Guest, Host, MockStream, statuses};
use proxy_wasm_host::CallId;
use proxy_wasm_host::ContextId;
use proxy_wasm_host::{CallError, GrpcEvent};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const PARSE_FAILURE: u32 = 4;
const INVALID_MEMORY: u32 = 6;
const INTERNAL_FAILURE: u32 = 10;

fn call(upstream: &str) -> String {
    format!("(call $note (call $proxy_grpc_call {upstream} {{p.S}} {{M}} {{}} {{hi}} #0 #24))")
}

fn stream(upstream: &str) -> String {
    format!("(call $note (call $proxy_grpc_stream {upstream} {{p.S}} {{M}} {{}} #24))")
}

/// Runs a body as `proxy_on_request_headers` of the stream `s`.
fn start(guest: Guest) -> (Host, u32) {
    let mut host = Host::start(&guest.wat());
    let id = host.stream(&MockStream::default().named("s"));
    host.logs();
    host.vm.on_request_headers(id, 0, true).unwrap();
    (host, id.get())
}

fn close(status: u32, message: &str) -> GrpcEvent {
    GrpcEvent::Close {
        status,
        message: message.into(),
    }
}

#[test]
fn all_of_a_call_and_of_a_stream_arrives_at_the_proxy() {
    let metadata = map(&[("a", "b"), ("a", "c")]);
    let (host, _) = start(Guest::new().request_headers(&format!(
        r"(call $note (call $proxy_grpc_call {{up}} {{p.S}} {{M}} {metadata} {{m\0}} #250 #24))
          (call $say_number_at #24)
          (call $note (call $proxy_grpc_call {{up}} {{p.S}} {{M}} {{}} {{}} #0 #24))
          (call $say_number_at #24)
          (call $note (call $proxy_grpc_stream {{up}} {{p.S}} {{M}} {metadata} #24))
          (call $say_number_at #24)"
    )));
    assert_eq!(host.logs(), ["=0", "5", "=0", "9", "=0", "6"]);
    assert_eq!(
        host.proxy.take_events(),
        [
            r#"grpc 5 up of s: p.S/M [a=b,a=c] Some("m\\x00") 250ms"#,
            r#"grpc 9 up of s: p.S/M [] Some("") 0ns"#,
            "grpc 6 up of s: p.S/M [a=b,a=c] None 0ns",
        ]
    );
}

#[test]
fn upstreams_by_name_and_by_envoy_s_message() {
    // GrpcService { envoy_grpc { cluster_name: "unknown" or "up" } timeout { seconds: 1 } }
    let unknown = bytes(b"\x0a\x09\x0a\x07unknown\x1a\x02\x08\x01");
    let known = bytes(b"\x0a\x04\x0a\x02up\x1a\x02\x08\x01");
    let (host, _) = start(
        Guest::new().request_headers(
            &[
                call("{unknown}"),
                stream("{unknown}"),
                call(&unknown),
                stream(&unknown),
                call("{broken}"),
                stream("{broken}"),
                call(&known),
                stream(&known),
                call("{[::1]:50051}"),
            ]
            .concat(),
        ),
    );
    let unknown = PARSE_FAILURE;
    assert_eq!(
        statuses(host.logs()).0,
        [
            unknown,
            unknown,
            unknown,
            unknown,
            INTERNAL_FAILURE,
            INTERNAL_FAILURE,
            OK,
            OK,
            OK
        ]
    );
    let upstreams: Vec<_> = host
        .proxy
        .take_events()
        .iter()
        .map(|event| event.split(' ').nth(2).unwrap().to_owned())
        .collect();
    assert_eq!(upstreams, ["up", "up", "[::1]:50051"]);
}

#[test]
fn bad_arguments_start_no_call() {
    let (host, _) = start(Guest::new().request_headers(
        r"(call $note (call $proxy_grpc_call #-1 #1 {S} {M} {} {} #0 #24))
          (call $note (call $proxy_grpc_call {up} #65536 #1 {M} {} {} #0 #24))
          (call $note (call $proxy_grpc_call {up} {S} #16 #-1 {} {} #0 #24))
          (call $note (call $proxy_grpc_call {up} {S} {M} #65535 #2 {} #0 #24))
          (call $note (call $proxy_grpc_call {up} {S} {M} {} #65535 #2 #0 #24))
          (call $note (call $proxy_grpc_call {up} {S} {M} {} {} #0 #65533))
          (call $note (call $proxy_grpc_stream #-1 #1 {S} {M} {} #24))
          (call $note (call $proxy_grpc_stream {up} {S} {M} #65535 #2 #24))
          (call $note (call $proxy_grpc_stream {up} {S} {M} {} #-4))
          (call $note (call $proxy_grpc_call {up} {S} {M} {\x01\0} {} #0 #24))
          (call $note (call $proxy_grpc_stream {up} {S} {M} {\x01\0\0\0} #24))",
    ));
    let mut expected = [INVALID_MEMORY; 11];
    expected[9..].fill(BAD_ARGUMENT);
    assert_eq!(statuses(host.logs()).0, expected);
    assert_eq!(host.proxy.take_events(), [""; 0]);
}

/// A guest that tells of every callback what it is given and can read.
fn telling(body: &str) -> Guest {
    let tell = |name: &str, read: &str| {
        format!(
            "(drop (call $proxy_log #2 {{{name}}}))
             (call $say_number (i64.extend_i32_u (local.get $0)))
             (call $say_number (i64.extend_i32_u (local.get $1)))
             (call $say_number (i64.extend_i32_u (local.get $2)))
             {read}"
        )
    };
    let first = |map: &str| {
        format!(
            "(call $note (call $proxy_get_header_map_pairs {map} @))
             (call $say_number_at (i32.load #16))
             (call $note (call $proxy_get_header_map_value {map} {{k}} @)) (call $say)"
        )
    };
    let message = "(call $note (call $proxy_get_buffer_bytes #5 #0 #100 @)) (call $say)";
    let gone = "(call $note (call $proxy_get_buffer_status #5 #16 #20))
        (call $note (call $proxy_get_header_map_value #4 {k} @))
        (call $note (call $proxy_get_header_map_value #5 {k} @))";
    let status =
        "(call $note (call $proxy_get_status #24 @)) (call $say_number_at #24) (call $say)";
    Guest::new()
        .request_headers(body)
        .callback(
            "on_grpc_receive_initial_metadata",
            3,
            false,
            &tell("initial", &first("#4")),
        )
        .callback("on_grpc_receive", 3, false, &tell("message", message))
        .callback(
            "on_grpc_receive_trailing_metadata",
            3,
            false,
            &tell("trailing", &first("#5")),
        )
        .callback("on_grpc_close", 3, false, &tell("close", status))
        .callback("on_tick", 1, false, &format!("{gone} {status}"))
}

#[test]
fn a_stream_receives_one_thing_after_the_other() {
    let (mut host, _) = start(telling(&stream("{up}")));
    host.logs();
    let mut receive = |event| {
        host.vm.on_grpc(CallId::new(6), event).unwrap();
        host.logs()
    };
    assert_eq!(
        receive(GrpcEvent::InitialMetadata(pairs(&[("x", "1"), ("k", "v")]))),
        ["initial", "1", "6", "2", "=0", "2", "=0", "v"]
    );
    assert_eq!(
        receive(GrpcEvent::Message(b"one".to_vec())),
        ["message", "1", "6", "3", "=0", "one"]
    );
    assert_eq!(
        receive(GrpcEvent::Message(Vec::new())),
        ["message", "1", "6", "0", "=0", ""]
    );
    assert_eq!(
        receive(GrpcEvent::TrailingMetadata(pairs(&[("k", "w")]))),
        ["trailing", "1", "6", "1", "=0", "1", "=0", "w"]
    );
    assert_eq!(
        receive(close(5, "no such thing")),
        ["close", "1", "6", "5", "=0", "5", "no such thing"]
    );
    assert_eq!(receive(GrpcEvent::Message(b"late".to_vec())), [""; 0]);
    assert_eq!(receive(close(0, "")), [""; 0]);
    host.vm.on_tick(host.root).unwrap();
    assert_eq!(
        host.logs(),
        ["=1", "=1", "=1", "=0", "5", "no such thing"],
        "nothing can be read any more but the status"
    );
}

#[test]
fn a_call_is_answered_by_its_message_or_its_close() {
    let calls = [call("{up}"), call("{up}"), call("{up}")].concat();
    let (mut host, id) = start(telling(&calls));
    host.logs();
    host.proxy.take_events();
    let metadata = GrpcEvent::InitialMetadata(pairs(&[("k", "v")]));
    let message = GrpcEvent::Message(b"answer".to_vec());
    let trailing = GrpcEvent::TrailingMetadata(pairs(&[("k", "v")]));
    for id in [5, 9] {
        host.vm.on_grpc(CallId::new(id), metadata.clone()).unwrap();
        host.vm.on_grpc(CallId::new(id), message.clone()).unwrap();
        host.vm.on_grpc(CallId::new(id), trailing.clone()).unwrap();
    }
    assert_eq!(host.logs(), [""; 0], "not before the status is known");
    host.vm.on_grpc(CallId::new(5), close(0, "")).unwrap();
    assert_eq!(host.logs(), ["message", "1", "5", "6", "=0", "answer"]);
    host.vm
        .on_grpc(CallId::new(9), close(13, "broken"))
        .unwrap();
    assert_eq!(host.logs(), ["close", "1", "9", "13", "=0", "13", "broken"]);
    host.vm.on_grpc(CallId::new(13), close(0, "")).unwrap();
    assert_eq!(host.logs(), ["close", "1", "13", "0", "=0", "0", ""]);
    for id in [5, 9, 13] {
        host.vm.on_grpc(CallId::new(id), close(0, "")).unwrap();
    }
    assert_eq!(host.logs(), [""; 0]);
    host.vm.finish(ContextId::new(id), true).unwrap();
    assert_eq!(host.proxy.take_events(), [""; 0], "none is to be cancelled");
}

#[test]
fn the_status_is_ok_and_empty_at_first() {
    let (host, _) = start(Guest::new().request_headers(
        "(call $note (call $proxy_get_status #24 @))
         (call $say_number_at #24) (call $say_number_at #16) (call $say_number_at #20)
         (call $note (call $proxy_get_status #65533 @))
         (call $note (call $proxy_get_status #24 #-1 #16))
         (call $note (call $proxy_get_status #24 #16 #65533))",
    ));
    let (noted, said) = statuses(host.logs());
    assert_eq!(noted, [OK, INVALID_MEMORY, INVALID_MEMORY, INVALID_MEMORY]);
    assert_eq!(said, ["0", "0", "0"]);
}

#[test]
fn messages_are_sent_until_the_end_is() {
    let (host, _) = start(Guest::new().request_headers(&format!(
        r"{}
          (call $note (call $proxy_grpc_send #6 {{one\0}} #0))
          (call $note (call $proxy_grpc_send #6 #65535 #2 #0))
          (call $note (call $proxy_grpc_send #6 {{}} #0))
          (call $note (call $proxy_grpc_send #6 {{two}} #7))
          (call $note (call $proxy_grpc_send #6 {{late}} #0))
          (call $note (call $proxy_grpc_close #6))
          {}
          (call $note (call $proxy_grpc_close #10))
          (call $note (call $proxy_grpc_close #10))
          (call $note (call $proxy_grpc_send #10 {{late}} #1))",
        stream("{up}"),
        stream("{up}")
    )));
    assert_eq!(
        statuses(host.logs()).0,
        [
            OK,
            OK,
            INVALID_MEMORY,
            OK,
            OK,
            BAD_ARGUMENT,
            OK,
            OK,
            OK,
            OK,
            BAD_ARGUMENT
        ]
    );
    let events = host.proxy.take_events();
    assert_eq!(
        events[1..4],
        [r"send 6 one\x00 false", "send 6  false", "send 6 two true"]
    );
    assert_eq!(events[5..], ["close 10"]);
}

#[test]
fn unknown_ids_and_ids_of_another_kind() {
    // As in Envoy: 1 when the id could be one, 2 when it could not.
    let functions = [
        "(call $proxy_grpc_send ID {m} #0)",
        "(call $proxy_grpc_cancel ID)",
        "(call $proxy_grpc_close ID)",
    ];
    let headers = map(&REQUEST);
    let mut body = format!(
        "{} {} (drop (call $proxy_http_call {{up}} {headers} {{}} {{}} #0 #24))",
        call("{up}"),
        stream("{up}"),
    );
    let mut expected = vec![OK, OK];
    for (id, statuses) in [
        ("#0", [BAD_ARGUMENT; 3]),
        ("#3", [BAD_ARGUMENT; 3]),
        ("#99", [BAD_ARGUMENT; 3]),
        // The HTTP call, and one that is none.
        ("#4", [BAD_ARGUMENT; 3]),
        ("#8", [BAD_ARGUMENT; 3]),
        // Calls and streams that are none.
        ("#1", [BAD_ARGUMENT, NOT_FOUND, NOT_FOUND]),
        ("#9", [BAD_ARGUMENT, NOT_FOUND, NOT_FOUND]),
        ("#2", [NOT_FOUND; 3]),
        ("#10", [NOT_FOUND; 3]),
        // The call, which is cancelled by the second, and the stream.
        ("#5", [BAD_ARGUMENT, OK, NOT_FOUND]),
        ("#6", [OK, OK, NOT_FOUND]),
    ] {
        for function in functions {
            body += &format!("(call $note {})", function.replace("ID", id));
        }
        expected.extend(statuses);
    }
    let (host, _) = start(Guest::new().request_headers(&body));
    assert_eq!(statuses(host.logs()).0, expected);
    assert_eq!(
        host.proxy.take_events()[3..],
        ["cancel 5", "send 6 m false", "cancel 6"]
    );
}

#[test]
fn nothing_comes_of_what_was_cancelled() {
    let body = format!(
        "{} {}
         (call $note (call $proxy_grpc_close #5))
         (call $note (call $proxy_grpc_cancel #6))",
        call("{up}"),
        stream("{up}")
    );
    let (mut host, id) = start(telling(&body));
    assert_eq!(statuses(host.logs()).0, [OK; 4]);
    // A call has no half to close.
    assert_eq!(host.proxy.take_events()[2..], ["cancel 5", "cancel 6"]);
    for call in [5, 6] {
        let message = GrpcEvent::Message(b"late".to_vec());
        host.vm.on_grpc(CallId::new(call), message).unwrap();
        host.vm.on_grpc(CallId::new(call), close(0, "")).unwrap();
    }
    assert_eq!(host.logs(), [""; 0]);
    host.vm.finish(ContextId::new(id), true).unwrap();
    assert_eq!(host.proxy.take_events(), [""; 0]);
}

#[test]
fn the_guest_may_answer_a_close() {
    let guest = Guest::new().request_headers(&stream("{up}")).callback(
        "on_grpc_close",
        3,
        false,
        &format!(
            "(call $note (call $proxy_grpc_send #6 {{m}} #0))
             (call $note (call $proxy_grpc_close #6))
             (call $note (call $proxy_grpc_cancel #6))
             (call $note (call $proxy_grpc_cancel #6))
             {} (call $say_number_at #24)",
            stream("{again}")
        ),
    );
    let (mut host, _) = start(guest);
    host.logs();
    host.proxy.take_events();
    host.vm.on_grpc(CallId::new(6), close(0, "")).unwrap();
    let (noted, said) = statuses(host.logs());
    assert_eq!(noted, [OK, OK, OK, NOT_FOUND, OK]);
    assert_eq!(said, ["10"]);
    // The proxy knows the stream no more: nothing is asked of it.
    let events = host.proxy.take_events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].starts_with("grpc 10 again of root"));
}

#[test]
fn they_end_with_their_context() {
    let body = [call("{up}"), stream("{up}"), stream("{up}")].concat();
    let (mut host, id) = start(telling(&body));
    host.vm.on_grpc(CallId::new(10), close(0, "")).unwrap();
    host.logs();
    host.proxy.take_events();
    host.vm.finish(ContextId::new(id), true).unwrap();
    assert_eq!(host.proxy.take_events(), ["cancel 5", "cancel 6"]);
    host.vm
        .on_grpc(CallId::new(6), GrpcEvent::Message(b"late".to_vec()))
        .unwrap();
    assert_eq!(host.logs(), [""; 0]);
}

#[test]
fn without_callbacks_a_call_ends_all_the_same() {
    let body = [call("{up}"), stream("{up}")].concat();
    let (mut host, id) = start(Guest::new().request_headers(&body));
    for call in [5, 6] {
        host.vm
            .on_grpc(CallId::new(call), GrpcEvent::InitialMetadata(Vec::new()))
            .unwrap();
        host.vm
            .on_grpc(CallId::new(call), GrpcEvent::Message(b"m".to_vec()))
            .unwrap();
        host.vm.on_grpc(CallId::new(call), close(0, "")).unwrap();
    }
    host.proxy.take_events();
    host.vm.finish(ContextId::new(id), true).unwrap();
    assert_eq!(host.proxy.take_events(), [""; 0]);
}

#[test]
fn events_of_unknown_calls_are_dropped() {
    let (mut host, _) = start(telling(&call("{up}")));
    host.logs();
    for id in [0, 3, 4, 6, 9, u32::MAX] {
        host.vm.on_grpc(CallId::new(id), close(1, "x")).unwrap();
    }
    assert_eq!(host.logs(), [""; 0]);
}

#[test]
fn a_trap_in_a_callback() {
    let guest = Guest::new().request_headers(&stream("{up}")).callback(
        "on_grpc_receive",
        3,
        false,
        "unreachable",
    );
    let (mut host, _) = start(guest);
    let message = GrpcEvent::Message(Vec::new());
    let error = host
        .vm
        .on_grpc(CallId::new(6), message.clone())
        .unwrap_err();
    assert!(
        matches!(
            error,
            CallError::Trap {
                callback: "proxy_on_grpc_receive",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(
        host.vm.on_grpc(CallId::new(6), message),
        Err(CallError::Poisoned)
    );
}
