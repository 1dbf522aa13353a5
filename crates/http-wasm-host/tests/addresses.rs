//! Addresses and lengths outside of the guest's memory.

use crate::common::{Host, next, texts};

/// The guest's memory ends there.
const END: u32 = 2 << 16;

#[test]
fn what_is_read_outside_of_memory_is_a_trap() {
    let (data, text) = texts(&["name"]);
    let places = [(END, 1), (END - 1, 2), (u32::MAX, 1), (1, u32::MAX)];
    for (ptr, len) in places {
        let place = format!("(i32.const {}) (i32.const {})", ptr as i32, len as i32);
        for call in [
            format!("(call $log (i32.const 0) {place})"),
            // Though it is not written.
            format!("(call $log (i32.const 3) {place})"),
            format!("(call $set_method {place})"),
            format!("(call $set_uri {place})"),
            format!("(call $set_header_value (i32.const 0) {place} {})", text[0]),
            format!("(call $set_header_value (i32.const 0) {} {place})", text[0]),
            format!("(call $add_header_value (i32.const 1) {} {place})", text[0]),
            format!("(call $remove_header (i32.const 0) {place})"),
            format!("(call $write_body (i32.const 0) {place})"),
            format!("(call $write_body (i32.const 1) {place})"),
            format!(
                "(drop (call $get_header_values (i32.const 0) {place} (i32.const 0) (i32.const 0)))"
            ),
            format!("(drop (call $read_body (i32.const 0) {place}))"),
        ] {
            let trap = Host::start(&next(&data, &call, "")).request_trap();
            assert_eq!(trap, "outside of the guest's memory", "{call}");
        }
    }
}

#[test]
fn what_is_written_outside_of_memory_is_a_trap() {
    let (data, text) = texts(&["name"]);
    for ptr in [END, END - 1, u32::MAX] {
        // Huge limits, too: what counts is what is written.
        for limit in [100, u32::MAX] {
            let place = format!("(i32.const {}) (i32.const {})", ptr as i32, limit as i32);
            for call in [
                format!("(drop (call $get_method {place}))"),
                format!("(drop (call $get_uri {place}))"),
                format!("(drop (call $get_protocol_version {place}))"),
                format!("(drop (call $get_source_addr {place}))"),
                format!("(drop (call $get_header_names (i32.const 0) {place}))"),
                format!(
                    "(drop (call $get_header_values (i32.const 0) {} {place}))",
                    text[0]
                ),
            ] {
                let mut host = Host::start(&next(&data, &call, ""));
                host.mock
                    .add(http_wasm_host::HeaderKind::Request, "name", "value");
                let trap = host.request_trap();
                assert_eq!(trap, "outside of the guest's memory", "{call}");
            }
        }
    }
}

#[test]
fn the_last_bytes_of_memory_are_the_guest_s() {
    let call = format!(
        "(call $short (call $get_method (i32.const {}) (i32.const 3)))",
        END - 3
    );
    assert_eq!(Host::start(&next("", &call, "")).request(), ["#3"]);
}
