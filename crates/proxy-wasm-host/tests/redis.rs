//! Redis calls: what arrives at the proxy, and what the guest is told.

use crate::common::{Guest, Host, MockStream, statuses};
use proxy_wasm_host::CallId;
use proxy_wasm_host::ContextId;
use proxy_wasm_host::{AbiVersion, Action, CallError, RedisReply};

const OK: u32 = 0;
const BAD_ARGUMENT: u32 = 2;
const INVALID_MEMORY: u32 = 6;
const INTERNAL_FAILURE: u32 = 10;

const CALL: &str = "(call $note (call $proxy_redis_call {up} {q} #24))";

/// Says context, call, status and size of a reply, and what of it is in the buffer.
const TOLD: &str = "(call $say_number (i64.extend_i32_u (local.get $0)))
     (call $say_number (i64.extend_i32_u (local.get $1)))
     (call $say_number (i64.extend_i32_u (local.get $2)))
     (call $say_number (i64.extend_i32_u (local.get $3)))
     (call $note (call $proxy_get_buffer_bytes #9 #0 (local.get $3) @))
     (if (i32.load (i32.const 20)) (then (call $say)))";

fn reply(text: &str) -> RedisReply {
    RedisReply::Reply(text.as_bytes().to_vec())
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

/// A guest that makes a call for each request, and says what came of it.
fn caller() -> Guest {
    Guest::new()
        .request_headers(CALL)
        .callback("on_redis_call_response", 4, false, TOLD)
}

#[test]
fn all_of_a_service_and_of_a_call_arrives_at_the_proxy() {
    let (host, _) = start(Guest::new().request_headers(
        r"(call $note (call $proxy_redis_init {up?db=2} {user} {secret} #1500))
          (call $note (call $proxy_redis_init {up} {} {} #0))
          (call $note (call $proxy_redis_call {up} {*1\n\0} #24)) (call $say_number_at #24)
          (call $note (call $proxy_redis_call {up?db=2} {} #24)) (call $say_number_at #24)",
    ));
    assert_eq!(host.logs(), ["=0", "=0", "=0", "7", "=0", "11"]);
    assert_eq!(
        host.proxy.take_events(),
        [
            "redis_init up?db=2 of s for 1: user secret 1.5s",
            "redis_init up of s for 1:   0ns",
            r"redis 7 up of s for 1: *1\n\x00",
            "redis 11 up?db=2 of s for 1: ",
        ]
    );
}

#[test]
fn in_root_contexts_too() {
    let init = "(call $note (call $proxy_redis_init {up} {} {} #0))";
    let guest = Guest::new()
        .callback("on_vm_start", 2, true, &format!("{init} {CALL} #1"))
        .callback("on_configure", 2, true, &format!("{init} {CALL} #1"))
        .callback("on_tick", 1, false, CALL)
        .callback("on_redis_call_response", 4, false, CALL);
    let mut host = Host::start(&guest.wat());
    host.vm.on_tick(host.root).unwrap();
    host.vm
        .on_redis_call_response(CallId::new(7), reply("+OK"))
        .unwrap();
    assert_eq!(statuses(host.logs()).0, [OK; 6]);
    let events = host.proxy.take_events();
    assert_eq!(events.len(), 6);
    assert!(
        events
            .iter()
            .all(|event| event.contains("up of root for 1"))
    );
}

#[test]
fn refusals_and_bad_addresses_start_nothing() {
    let (host, _) = start(Guest::new().request_headers(
        "(call $note (call $proxy_redis_init {unknown} {} {} #0))
         (call $note (call $proxy_redis_call {unknown} {q} #24)) (call $say_number_at #24)
         (call $note (call $proxy_redis_call {broken} {q} #24)) (call $say_number_at #24)
         (call $note (call $proxy_redis_init #65535 #2 {} {} #0))
         (call $note (call $proxy_redis_init {up} #65536 #1 {} #0))
         (call $note (call $proxy_redis_init {up} {} #16 #-1 #0))
         (call $note (call $proxy_redis_call #65535 #2 {q} #24))
         (call $note (call $proxy_redis_call {up} #-1 #1 #24))
         (call $note (call $proxy_redis_call {up} {q} #65533))",
    ));
    let (statuses, said) = statuses(host.logs());
    assert_eq!(
        statuses,
        [
            &[BAD_ARGUMENT, BAD_ARGUMENT, INTERNAL_FAILURE][..],
            &[INVALID_MEMORY; 6]
        ]
        .concat()
    );
    assert_eq!(said, ["0", "0"]);
    assert_eq!(host.proxy.take_events(), [""; 0]);
}

#[test]
fn a_reply_is_told_once_to_the_root_context() {
    let (mut host, _) = start(caller());
    host.logs();
    host.vm
        .on_redis_call_response(CallId::new(7), reply("$1\r\nv\r\n"))
        .unwrap();
    assert_eq!(host.logs(), ["1", "7", "0", "7", "=0", "$1\r\nv\r\n"]);
    host.vm
        .on_redis_call_response(CallId::new(7), reply("again"))
        .unwrap();
    assert_eq!(host.logs(), [""; 0]);
    assert!(!host.vm.has_calls());
}

#[test]
fn a_failure_has_a_status_and_an_empty_buffer() {
    let (mut host, _) = start(caller());
    host.logs();
    host.vm
        .on_redis_call_response(CallId::new(7), RedisReply::Failed)
        .unwrap();
    assert_eq!(host.logs(), ["1", "7", "1", "0", "=0"]);
}

#[test]
fn the_buffer_is_there_in_the_callback_only() {
    let read = "(call $note (call $proxy_get_buffer_bytes #9 #0 #100 @))";
    let guest = Guest::new()
        .request_headers(&format!("{read} {CALL}"))
        .callback("on_http_call_response", 5, false, read)
        .callback("on_tick", 1, false, read)
        .callback(
            "on_redis_call_response",
            4,
            false,
            "(call $note (call $proxy_get_buffer_bytes #4 #0 #100 @))
             (call $note (call $proxy_get_buffer_bytes #9 #1 #2 @)) (call $say)
             (call $note (call $proxy_set_buffer_bytes #9 #0 #1 {x}))",
        );
    let (mut host, _) = start(guest);
    host.vm
        .on_redis_call_response(CallId::new(7), reply("reply"))
        .unwrap();
    host.vm.on_tick(host.root).unwrap();
    assert_eq!(host.logs(), ["=1", "=0", "=1", "=0", "ep", "=2", "=1"]);
}

#[test]
fn other_kinds_of_calls_are_not_mistaken_for_it() {
    let (mut host, _) = start(caller());
    host.logs();
    for id in [0, 4, 5, 6, 11] {
        host.vm
            .on_redis_call_response(CallId::new(id), reply("x"))
            .unwrap();
    }
    host.vm
        .on_http_call_response(CallId::new(7), Default::default())
        .unwrap();
    assert_eq!(host.logs(), [""; 0]);
    assert!(host.vm.has_calls());
}

#[test]
fn it_is_no_grpc_call() {
    let (host, _) = start(Guest::new().request_headers(&format!(
        "{CALL} (call $note (call $proxy_grpc_cancel #7)) (call $note (call $proxy_grpc_close #7))
         (call $note (call $proxy_grpc_send #7 {{}} #0))"
    )));
    assert_eq!(statuses(host.logs()).0, [OK, 2, 2, 2]);
}

#[test]
fn a_call_outlives_its_stream_where_the_proxy_says_so() {
    let (mut host, id) = start(caller());
    host.proxy.set_detach(true);
    host.vm.finish(ContextId::new(id), true).unwrap();
    host.proxy.take_events();
    host.logs();
    host.vm
        .on_redis_call_response(CallId::new(7), reply("x"))
        .unwrap();
    assert_eq!(host.logs(), ["1", "7", "0", "1", "=0", "x"]);
}

#[test]
fn else_it_is_cancelled_and_nothing_is_told() {
    let (mut host, id) = start(caller());
    host.proxy.take_events();
    host.vm.finish(ContextId::new(id), true).unwrap();
    assert_eq!(host.proxy.take_events(), ["cancel 7"]);
    host.logs();
    host.vm
        .on_redis_call_response(CallId::new(7), reply("x"))
        .unwrap();
    assert_eq!(host.logs(), [""; 0]);
}

#[test]
fn a_guest_without_the_callback_loses_the_reply() {
    let (mut host, _) = start(Guest::new().request_headers(CALL));
    host.vm
        .on_redis_call_response(CallId::new(7), reply("x"))
        .unwrap();
    assert!(!host.vm.has_calls());
}

#[test]
fn a_trap_in_the_callback_ends_the_instance() {
    let guest = Guest::new().request_headers(CALL).callback(
        "on_redis_call_response",
        4,
        false,
        "unreachable",
    );
    let (mut host, _) = start(guest);
    let error = host
        .vm
        .on_redis_call_response(CallId::new(7), reply("x"))
        .unwrap_err();
    assert!(matches!(
        error,
        CallError::Trap {
            callback: "proxy_on_redis_call_response",
            ..
        }
    ));
    assert_eq!(
        host.vm.on_redis_call_response(CallId::new(7), reply("x")),
        Err(CallError::Poisoned)
    );
}

#[test]
fn higress_marker() {
    let host = Host::start(&Guest::new().abi("0_2_100").wat());
    assert_eq!(host.vm.abi(), AbiVersion::V0_2_100);
    assert_eq!(host.vm.abi().to_string(), "0.2.100");
}
