//! Shared data, queues and metrics: what arrives at the proxy, statuses, addresses.

use crate::common::{Guest, Host, MockStream, run, statuses};
use proxy_wasm_host::ContextId;

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const INVALID_MEMORY: u32 = 6;
const EMPTY: u32 = 7;
const CAS_MISMATCH: u32 = 8;

#[test]
fn shared_data_is_read_with_its_number() {
    let (statuses, said) = run(
        "(call $note (call $proxy_get_shared_data {key} @ #24))
         (call $note (call $proxy_set_shared_data {key} {one} #0))
         (call $note (call $proxy_get_shared_data {key} @ #24)) (call $say)
         (call $say_number_at #24)
         (call $note (call $proxy_set_shared_data {key} {two} #9))
         (call $note (call $proxy_set_shared_data {key} {two} (i32.load #24)))
         (call $note (call $proxy_set_shared_data {key} {three} (i32.load #24)))
         (call $note (call $proxy_get_shared_data {key} @ #24)) (call $say)
         (call $say_number_at #24)
         (call $note (call $proxy_set_shared_data {key} {} #0))
         (call $note (call $proxy_get_shared_data {key} @ #24)) (call $say)
         (call $say_number_at #16)",
        &MockStream::default(),
    );
    assert_eq!(
        statuses,
        [
            NOT_FOUND,
            OK,
            OK,
            CAS_MISMATCH,
            OK,
            CAS_MISMATCH,
            OK,
            OK,
            OK
        ]
    );
    assert_eq!(said, ["one", "1", "two", "2", "", "0"]);
}

#[test]
fn shared_data_with_bad_addresses() {
    let (statuses, said) = run(
        "(call $note (call $proxy_set_shared_data #-1 #2 {x} #0))
         (call $note (call $proxy_set_shared_data {a} #65536 #1 #0))
         (call $note (call $proxy_get_shared_data {a} @ #24))
         (call $note (call $proxy_set_shared_data {a} {x} #0))
         (call $note (call $proxy_get_shared_data #65535 #2 @ #24))
         (call $note (call $proxy_get_shared_data {a} #65533 #20 #24))
         (call $note (call $proxy_get_shared_data {a} #16 #65533 #24))
         (call $note (call $proxy_get_shared_data {a} @ #65533))
         (call $say_number (i64.extend_i32_u (global.get $heap)))",
        &MockStream::default(),
    );
    let bad = INVALID_MEMORY;
    assert_eq!(statuses, [bad, bad, NOT_FOUND, OK, bad, bad, bad, bad]);
    assert_eq!(said, ["32768"], "nothing was allocated");
}

#[test]
fn queues() {
    let stream = MockStream::default();
    let guest = Guest::new().request_headers(
        r"(call $note (call $proxy_resolve_shared_queue {} {q} #24))
          (call $note (call $proxy_register_shared_queue {q} #24)) (call $say_number_at #24)
          (call $note (call $proxy_register_shared_queue {other} #24)) (call $say_number_at #24)
          (call $note (call $proxy_register_shared_queue {q} #24)) (call $say_number_at #24)
          (call $note (call $proxy_resolve_shared_queue {a vm} {other} #24))
          (call $say_number_at #24)
          (call $note (call $proxy_dequeue_shared_queue #1 @))
          (call $note (call $proxy_enqueue_shared_queue #1 {first\0}))
          (call $note (call $proxy_enqueue_shared_queue #1 {}))
          (call $note (call $proxy_dequeue_shared_queue #1 @)) (call $say)
          (call $note (call $proxy_dequeue_shared_queue #1 @)) (call $say)
          (call $note (call $proxy_dequeue_shared_queue #1 @))
          (call $note (call $proxy_enqueue_shared_queue #3 {x}))
          (call $note (call $proxy_dequeue_shared_queue #3 @))
          (call $note (call $proxy_enqueue_shared_queue #0 {x}))",
    );
    let mut host = Host::start(&guest.wat());
    let id = host.stream(&stream);
    host.vm.on_request_headers(id, 0, true).unwrap();
    let (statuses, said) = statuses(host.logs());
    let expected = [
        NOT_FOUND, OK, OK, OK, OK, EMPTY, OK, OK, OK, OK, EMPTY, NOT_FOUND, NOT_FOUND, NOT_FOUND,
    ];
    assert_eq!(statuses, expected);
    assert_eq!(said, ["1", "2", "1", "2", "first\0", ""]);
    // A stream's queue is its root context's.
    assert_eq!(
        host.proxy.take_events(),
        [
            "resolve q of ",
            "register q for 1",
            "register other for 1",
            "register q for 1",
            "resolve other of a vm",
        ]
    );
}

#[test]
fn queues_with_bad_addresses() {
    let stream = MockStream::default();
    let guest = Guest::new().request_headers(
        "(call $note (call $proxy_register_shared_queue {q} #65533))
         (call $note (call $proxy_register_shared_queue #65536 #1 #24))
         (call $note (call $proxy_resolve_shared_queue {} {q} #65533))
         (call $note (call $proxy_resolve_shared_queue #-1 #1 {q} #24))
         (call $note (call $proxy_resolve_shared_queue {} #-1 #1 #24))
         (call $note (call $proxy_enqueue_shared_queue #1 #65535 #2))
         (call $note (call $proxy_dequeue_shared_queue #1 #65533 #16))
         (call $note (call $proxy_dequeue_shared_queue #1 #16 #65533))",
    );
    let mut host = Host::start(&guest.wat());
    let id = host.stream(&stream);
    host.vm.on_request_headers(id, 0, true).unwrap();
    assert_eq!(statuses(host.logs()).0, [INVALID_MEMORY; 8]);
    assert_eq!(host.proxy.take_events(), [""; 0], "none was made");
}

#[test]
fn a_queue_is_ready_in_its_root_context() {
    let guest = Guest::new().callback(
        "on_queue_ready",
        2,
        false,
        "(call $say_number (i64.extend_i32_u (local.get $0)))
         (call $say_number (i64.extend_i32_u (local.get $1)))
         (call $note (call $proxy_get_buffer_bytes #7 #0 #6 @)) (call $say)",
    );
    let mut host = Host::start(&guest.wat());
    let stream = host.stream(&MockStream::default());
    host.vm.on_queue_ready(host.root, 77).unwrap();
    assert_eq!(host.logs(), ["1", "77", "=0", "plugin"]);
    for id in [0, stream.get(), 99] {
        assert!(
            host.vm.on_queue_ready(ContextId::new(id), 77).is_err(),
            "{id}"
        );
    }
    assert_eq!(host.logs(), [""; 0]);
    // Without the callback nothing happens.
    let mut host = Host::start(&Guest::new().wat());
    host.vm.on_queue_ready(host.root, 77).unwrap();
}

#[test]
fn metrics() {
    let (statuses, said) = run(
        "(call $note (call $proxy_define_metric #0 {requests} #24)) (call $say_number_at #24)
         (call $note (call $proxy_define_metric #1 {level} #24)) (call $say_number_at #24)
         (call $note (call $proxy_define_metric #2 {time} #24)) (call $say_number_at #24)
         (call $note (call $proxy_define_metric #0 {requests} #24)) (call $say_number_at #24)
         (call $note (call $proxy_define_metric #1 {requests} #24))
         (call $note (call $proxy_define_metric #3 {other} #24))
         (call $note (call $proxy_define_metric #-1 {other} #24))
         (call $note (call $proxy_increment_metric #1 (i64.const 5000000000)))
         (call $note (call $proxy_increment_metric #1 (i64.const -1)))
         (call $note (call $proxy_increment_metric #2 (i64.const 9)))
         (call $note (call $proxy_increment_metric #2 (i64.const -2)))
         (call $note (call $proxy_increment_metric #3 (i64.const 1)))
         (call $note (call $proxy_increment_metric #4 (i64.const 1)))
         (call $note (call $proxy_get_metric #1 #24)) (call $say_number (i64.load #24))
         (call $note (call $proxy_get_metric #2 #24)) (call $say_number (i64.load #24))
         (call $note (call $proxy_record_metric #2 (i64.const -1)))
         (call $note (call $proxy_get_metric #2 #24)) (call $say_number (i64.load #24))
         (call $note (call $proxy_record_metric #3 (i64.const 1)))
         (call $note (call $proxy_record_metric #4 (i64.const 1)))
         (call $note (call $proxy_get_metric #3 #24))
         (call $note (call $proxy_get_metric #4 #24))",
        &MockStream::default(),
    );
    assert_eq!(
        statuses,
        [
            OK,
            OK,
            OK,
            OK,
            BAD_ARGUMENT,
            BAD_ARGUMENT,
            BAD_ARGUMENT,
            OK,
            BAD_ARGUMENT,
            OK,
            OK,
            BAD_ARGUMENT,
            NOT_FOUND,
            OK,
            OK,
            OK,
            OK,
            OK,
            NOT_FOUND,
            BAD_ARGUMENT,
            NOT_FOUND
        ]
    );
    assert_eq!(
        said,
        [
            "1",
            "2",
            "3",
            "1",
            "5000000000",
            "7",
            "18446744073709551615"
        ]
    );
}

#[test]
fn metrics_with_bad_addresses() {
    let (statuses, said) = run(
        "(call $note (call $proxy_define_metric #0 {a} #65533))
         (call $note (call $proxy_define_metric #0 #65536 #1 #24))
         (call $note (call $proxy_define_metric #0 {b} #24)) (call $say_number_at #24)
         (call $note (call $proxy_get_metric #1 #65529))
         (call $note (call $proxy_get_metric #1 #-1))",
        &MockStream::default(),
    );
    let bad = INVALID_MEMORY;
    assert_eq!(statuses, [bad, bad, OK, bad, bad]);
    assert_eq!(said, ["1"], "the first was not made");
}

#[test]
fn a_queue_needs_a_context_and_the_rest_does_not() {
    let guest = Guest::new().with(
        r#"(func (export "_initialize")
            (call $note (call $proxy_register_shared_queue {q} #24))
            (call $note (call $proxy_set_shared_data {k} {v} #0))
            (call $note (call $proxy_define_metric #0 {m} #24)))"#,
    );
    let (statuses, _) = statuses(Host::start(&guest.wat()).logs());
    assert_eq!(statuses, [BAD_ARGUMENT, OK, OK]);
}
