//! Buffers: bodies and configurations.

use crate::common::{Guest, Host, MockStream, run, run_guest, statuses};
use proxy_wasm_host::BufferType;

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const INVALID_MEMORY: u32 = 6;

fn stream() -> MockStream {
    MockStream::default()
        .buffer(BufferType::RequestBody, b"0123456789")
        .buffer(BufferType::ResponseBody, b"")
}

#[test]
fn any_range_is_read() {
    let (statuses, said) = run(
        "(call $note (call $proxy_get_buffer_bytes #0 #0 #10 @)) (call $say)
         (call $note (call $proxy_get_buffer_bytes #0 #3 #4 @)) (call $say)
         (call $note (call $proxy_get_buffer_bytes #0 #8 #100 @)) (call $say)
         (call $note (call $proxy_get_buffer_bytes #0 #0 #-1 @)) (call $say)
         (call $note (call $proxy_get_buffer_bytes #0 #10 #1 @)) (call $say)
         (call $note (call $proxy_get_buffer_bytes #0 #11 #1 @)) (call $say)
         (call $note (call $proxy_get_buffer_bytes #0 #5 #0 @)) (call $say)
         (call $note (call $proxy_get_buffer_bytes #1 #0 #5 @)) (call $say)",
        &stream(),
    );
    assert_eq!(statuses, [OK; 8]);
    assert_eq!(
        said,
        ["0123456789", "3456", "89", "0123456789", "", "", "", ""]
    );
}

#[test]
fn an_empty_result_is_address_0_and_length_0() {
    let (statuses, said) = run(
        "(i64.store #16 (i64.const -1))
         (call $note (call $proxy_get_buffer_bytes #0 #10 #1 @))
         (call $say_number (i64.load #16))",
        &stream(),
    );
    assert_eq!((statuses, said), (vec![OK], vec!["0".to_owned()]));
}

#[test]
fn a_body_larger_than_the_guest_s_memory_makes_it_grow() {
    let body: Vec<u8> = (0..500_000_u32).map(|i| b'a' + (i % 23) as u8).collect();
    let stream = MockStream::default().buffer(BufferType::RequestBody, &body);
    let (statuses, said) = run(
        "(call $note (call $proxy_get_buffer_bytes #0 #0 #500000 @)) (call $say)",
        &stream,
    );
    assert_eq!(statuses, [OK]);
    assert!(said[0].as_bytes() == body);
}

#[test]
fn bad_ranges_and_buffers() {
    let (statuses, _) = run(
        "(call $note (call $proxy_get_buffer_bytes #0 #1 #-1 @))
         (call $note (call $proxy_get_buffer_bytes #0 #-1 #1 @))
         (call $note (call $proxy_get_buffer_bytes #10 #0 #1 @))
         (call $note (call $proxy_get_buffer_bytes #-1 #0 #1 @))
         (call $note (call $proxy_get_buffer_bytes #2 #0 #1 @))
         (call $note (call $proxy_get_buffer_bytes #4 #0 #1 @))
         (call $note (call $proxy_get_buffer_bytes #8 #0 #1 @))
         (call $note (call $proxy_get_buffer_bytes #0 #0 #1 #65533 #16))
         (call $note (call $proxy_get_buffer_bytes #0 #0 #1 #16 #65533))",
        &stream(),
    );
    assert_eq!(
        statuses,
        [
            BAD_ARGUMENT,
            BAD_ARGUMENT,
            BAD_ARGUMENT,
            BAD_ARGUMENT,
            NOT_FOUND,
            NOT_FOUND,
            NOT_FOUND,
            INVALID_MEMORY,
            INVALID_MEMORY
        ]
    );
}

#[test]
fn status_tells_the_length_and_no_flags() {
    let (statuses, said) = run(
        "(i64.store #16 (i64.const -1))
         (call $note (call $proxy_get_buffer_status #0 @))
         (call $say_number_at #16) (call $say_number_at #20)
         (call $note (call $proxy_get_buffer_status #7 @)) (call $say_number_at #16)
         (call $note (call $proxy_get_buffer_status #2 @))
         (call $note (call $proxy_get_buffer_status #10 @))
         (call $note (call $proxy_get_buffer_status #0 #65533 #16))
         (call $note (call $proxy_get_buffer_status #0 #16 #65533))",
        &stream(),
    );
    assert_eq!(
        statuses,
        [
            OK,
            OK,
            NOT_FOUND,
            BAD_ARGUMENT,
            INVALID_MEMORY,
            INVALID_MEMORY
        ]
    );
    assert_eq!(said, ["10", "0", "21"]);
}

/// A body after one `set_buffer_bytes(start, len, text)`.
fn set(start: i32, len: i32, text: &str) -> String {
    let stream = stream();
    let body = format!("(call $note (call $proxy_set_buffer_bytes #0 #{start} #{len} {text}))");
    let (statuses, _) = run(&body, &stream);
    assert_eq!(statuses, [OK]);
    String::from_utf8(stream.get_buffer(BufferType::RequestBody)).unwrap()
}

#[test]
fn a_range_is_replaced_by_all_of_the_data() {
    assert_eq!(set(0, 10, "{short}"), "short");
    assert_eq!(set(0, -1, "{longer than before}"), "longer than before");
    assert_eq!(set(0, 10, "#0 #0"), "");
    assert_eq!(set(2, 3, "{<>}"), "01<>56789");
    assert_eq!(set(2, 3, "{<------>}"), "01<------>56789");
    assert_eq!(set(2, 3, "#0 #0"), "0156789");
    assert_eq!(set(8, 100, "{end}"), "01234567end");
}

#[test]
fn prepend_and_append() {
    assert_eq!(set(0, 0, "{>>}"), ">>0123456789");
    assert_eq!(set(10, 0, "{<<}"), "0123456789<<");
    assert_eq!(set(11, 5, "{<<}"), "0123456789<<");
    assert_eq!(set(-1, -1, "{<<}"), "0123456789<<");
    assert_eq!(set(5, 0, "{|}"), "01234|56789");
}

#[test]
fn bad_sets_change_nothing() {
    let stream = stream();
    let (statuses, _) = run(
        "(call $note (call $proxy_set_buffer_bytes #0 #0 #1 #65536 #1))
         (call $note (call $proxy_set_buffer_bytes #0 #0 #1 #1 #-1))
         (call $note (call $proxy_set_buffer_bytes #2 #0 #1 {x}))
         (call $note (call $proxy_set_buffer_bytes #9 #0 #1 {x}))
         (call $note (call $proxy_set_buffer_bytes #6 #0 #1 {x}))
         (call $note (call $proxy_set_buffer_bytes #7 #0 #1 {x}))",
        &stream,
    );
    assert_eq!(
        statuses,
        [
            INVALID_MEMORY,
            INVALID_MEMORY,
            BAD_ARGUMENT,
            BAD_ARGUMENT,
            BAD_ARGUMENT,
            BAD_ARGUMENT
        ]
    );
    assert_eq!(stream.get_buffer(BufferType::RequestBody), b"0123456789");
}

const READ_BOTH: &str = "
    (call $note (call $proxy_get_buffer_bytes #6 #0 #-1 @)) (call $say)
    (call $note (call $proxy_get_buffer_bytes #7 #0 #-1 @)) (call $say)
    (call $note (call $proxy_get_buffer_bytes #7 #7 #5 @)) (call $say)
    (call $note (call $proxy_get_configuration @)) (call $say)";

#[test]
fn configurations_are_there_in_every_callback() {
    let guest = Guest::new()
        .callback("on_context_create", 2, false, READ_BOTH)
        .callback("on_vm_start", 2, true, &format!("{READ_BOTH} #1"))
        .callback("on_configure", 2, true, &format!("{READ_BOTH} #1"))
        .request_headers(READ_BOTH);
    let mut host = Host::start(&guest.wat());
    let id = host.stream(&stream());
    host.vm.on_request_headers(id, 0, true).unwrap();

    let (statuses, said) = statuses(host.logs());
    assert_eq!(statuses, [OK; 20]);
    let vm = "vm configuration\n";
    let plugin = "plugin\0configuration\n";
    let expected = [
        [vm, plugin, "confi", plugin],
        // In on_vm_start, get_configuration is the VM's.
        [vm, plugin, "confi", vm],
        [vm, plugin, "confi", plugin],
        [vm, plugin, "confi", plugin],
        [vm, plugin, "confi", plugin],
    ];
    assert_eq!(said, expected.concat());
}

#[test]
fn the_guest_is_told_the_sizes_of_its_configurations() {
    let say_1 = "(call $say_number (i64.extend_i32_u (local.get $1))) #1";
    let guest = Guest::new()
        .callback("on_vm_start", 2, true, say_1)
        .callback("on_configure", 2, true, say_1);
    let host = Host::start(&guest.wat());
    assert_eq!(host.logs(), ["17", "21"]);
}

#[test]
fn a_root_context_has_no_bodies() {
    let guest = Guest::new().callback(
        "on_configure",
        2,
        true,
        "(call $note (call $proxy_get_buffer_bytes #0 #0 #1 @))
         (call $note (call $proxy_get_buffer_status #1 @))
         (call $note (call $proxy_set_buffer_bytes #0 #0 #1 {x})) #1",
    );
    let (statuses, _) = statuses(Host::start(&guest.wat()).logs());
    assert_eq!(statuses, [NOT_FOUND, NOT_FOUND, BAD_ARGUMENT]);
}

#[test]
fn bodies_of_the_first_version_are_the_same() {
    let guest = Guest::new()
        .abi("0_1_0")
        .request_headers("(call $note (call $proxy_get_buffer_bytes #0 #1 #2 @)) (call $say)");
    let (statuses, said) = run_guest(guest, &stream());
    assert_eq!((statuses, said), (vec![OK], vec!["12".to_owned()]));
}
