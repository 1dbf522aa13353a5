//! The guest's allocators, good and bad.

use crate::common::{Guest, Host, MockStream, run_guest};
use proxy_wasm_host::{BufferType, CallError, MapType};

const OK: u32 = 0;
const INVALID_MEMORY: u32 = 6;
const INTERNAL_FAILURE: u32 = 10;

fn stream() -> MockStream {
    MockStream::default()
        .map(MapType::RequestHeaders, &[("a", "b")])
        .buffer(BufferType::RequestBody, b"body")
        .with_property("a", b"b")
}

/// Everything that allocates.
const ALL: &str = "
    (call $note (call $proxy_get_header_map_value #0 {a} @))
    (call $note (call $proxy_get_header_map_pairs #0 @))
    (call $note (call $proxy_get_buffer_bytes #0 #0 #9 @))
    (call $note (call $proxy_get_buffer_bytes #7 #0 #9 @))
    (call $note (call $proxy_get_configuration @))
    (call $note (call $proxy_get_property {a} @))";

fn with(allocator: &str) -> Vec<u32> {
    let guest = Guest::new()
        .allocator(&format!(
            "(global $heap (mut i32) (i32.const 32768)) {allocator}"
        ))
        .request_headers(ALL);
    run_guest(guest, &stream()).0
}

fn function(name: &str, body: &str) -> String {
    format!("(func $f_{name} (export \"{name}\") (param $size i32) (result i32) {body})")
}

#[test]
fn either_name() {
    assert_eq!(with(&function("malloc", "#40000")), [OK; 6]);
    assert_eq!(
        with(&function("proxy_on_memory_allocate", "#40000")),
        [OK; 6]
    );
    // The ABI's own comes first.
    let both = function("malloc", "unreachable") + &function("proxy_on_memory_allocate", "#40000");
    assert_eq!(with(&both), [OK; 6]);
}

#[test]
fn none() {
    assert_eq!(with(""), [INTERNAL_FAILURE; 6]);
}

#[test]
fn one_that_fails() {
    assert_eq!(with(&function("malloc", "#0")), [INTERNAL_FAILURE; 6]);
}

#[test]
fn one_that_hands_out_what_is_not_there() {
    for address in ["#65536", "#-1", "#65535", "#-8"] {
        // "b" alone would fit at 65535.
        let statuses = with(&function("malloc", address));
        let fits = address == "#65535";
        let expected = |len: u32| if fits && len == 1 { OK } else { INVALID_MEMORY };
        assert_eq!(statuses, [1, 16, 4, 9, 21, 1].map(expected), "at {address}");
    }
}

#[test]
fn one_that_traps_ends_the_callback() {
    let guest = Guest::new()
        .allocator(
            &("(global $heap (mut i32) (i32.const 0))".to_owned()
                + &function("malloc", "unreachable")),
        )
        .request_headers(ALL);
    let mut host = Host::start(&guest.wat());
    let id = host.stream(&stream());
    let error = host.vm.on_request_headers(id, 0, true).unwrap_err();
    let CallError::Trap { callback, reason } = error else {
        panic!("{error}");
    };
    assert_eq!(callback, "proxy_on_request_headers");
    assert!(
        reason.starts_with("in the guest's allocator: wasm trap: "),
        "{reason}"
    );
    assert!(reason.contains("f_malloc"), "{reason}");
    assert!(!reason.contains('\n'));
    assert!(host.vm.poisoned());
    assert!(host.logs().is_empty(), "the callback did not go on");
}

#[test]
fn one_that_asks_the_host_to_allocate() {
    let body = "(call $note (call $proxy_get_property {a} @)) #40000";
    let guest = Guest::new()
        .allocator(
            &("(global $heap (mut i32) (i32.const 0))".to_owned() + &function("malloc", body)),
        )
        .request_headers("(call $note (call $proxy_get_property {a} @)) (call $say)");
    let (statuses, said) = run_guest(guest, &stream());
    assert_eq!(statuses, [INTERNAL_FAILURE, OK]);
    assert_eq!(said, ["b"]);
}

#[test]
fn one_that_logs_and_polls_as_language_runtimes_do() {
    let body = "(drop (call $proxy_log #2 {allocating}))
        (call $note (call $poll_oneoff #0 #0 #0 #24)) #40000";
    let guest = Guest::new()
        .allocator(
            &("(global $heap (mut i32) (i32.const 0))".to_owned() + &function("malloc", body)),
        )
        .request_headers("(call $note (call $proxy_get_property {a} @)) (call $say)");
    let (statuses, said) = run_guest(guest, &stream());
    assert_eq!(statuses, [OK, OK]);
    assert_eq!(said, ["allocating", "b"]);
}

#[test]
fn one_that_switches_the_context() {
    // The second pass of the map finds no stream then, so fewer pairs than the first.
    let body = "(drop (call $proxy_set_effective_context #1)) #40000";
    let guest = Guest::new()
        .allocator(
            &("(global $heap (mut i32) (i32.const 0))".to_owned() + &function("malloc", body)),
        )
        .request_headers("(call $note (call $proxy_get_header_map_pairs #0 @))");
    let (statuses, _) = run_guest(guest, &stream());
    assert_eq!(statuses, [INTERNAL_FAILURE]);
}

#[test]
fn one_that_shortens_the_buffer_that_is_read() {
    let body = "(drop (call $proxy_set_buffer_bytes #0 #0 #9 {b})) #40000";
    let guest = Guest::new()
        .allocator(
            &("(global $heap (mut i32) (i32.const 0))".to_owned() + &function("malloc", body)),
        )
        .request_headers("(call $note (call $proxy_get_buffer_bytes #0 #0 #9 @)) (call $say)");
    let (statuses, said) = run_guest(guest, &stream());
    assert_eq!(statuses, [OK]);
    assert_eq!(said, ["b"]);
}

#[test]
fn results_at_the_very_end_of_memory() {
    let guest = Guest::new().request_headers(
        "(call $note (call $proxy_get_property {a} #65528 #65532))
         (call $note (call $proxy_get_header_map_size #0 #65532))
         (call $note (call $proxy_get_property #65535 #1 #16 #20))",
    );
    let stream = stream().with_property("", b"");
    assert_eq!(run_guest(guest, &stream).0, [OK, OK, 1]);
}
