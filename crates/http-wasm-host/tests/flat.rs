//! 100,000 requests leave memory as it was. In a program of its own: what others take would count.

mod common;

use common::{Host, guest_with};
use http_wasm_host::{BodyKind, HeaderKind};

/// Bytes of this process in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn memory_is_flat_over_100_000_requests() {
    // It reads headers and body, answers each other time, and writes bodies.
    let request = "
        (drop (call $get_header_names (i32.const 0) (i32.const 4096) (i32.const 4096)))
        (drop (call $get_header_values (i32.const 0) (i32.const 1024) (i32.const 1) (i32.const 4096) (i32.const 4096)))
        (drop (call $read_body (i32.const 0) (i32.const 8192) (i32.const 65536)))
        (call $set_header_value (i32.const 0) (i32.const 1024) (i32.const 1) (i32.const 1024) (i32.const 9))
        (call $add_header_value (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 1024) (i32.const 9))
        (call $write_body (i32.const 0) (i32.const 8192) (i32.const 1000))
        (call $write_body (i32.const 1) (i32.const 8192) (i32.const 65536))
        (global.set $on (i32.eqz (global.get $on)))
        (i64.extend_i32_u (global.get $on))";
    let items = r#"(global $on (mut i32) (i32.const 0)) (data (i32.const 1024) "a")"#;
    let mut host = Host::start(&guest_with(items, request, ""));
    host.mock.be_quiet();
    let mut requests = |count: usize| {
        for i in 0..count {
            let sizes = [0, 1, 100, 1000, 60_000];
            host.mock.body(BodyKind::Request, &vec![7; sizes[i % 5]]);
            host.mock.0.headers[0].take();
            host.mock.add(HeaderKind::Request, "a", "value");
            let next = host.try_request().unwrap();
            drop(host.vm.take_answer());
            if next == http_wasm_host::Next::Handler {
                host.vm.handle_response(false).unwrap();
            }
            host.vm.end();
        }
        host.vm.memory_bytes()
    };
    let bytes = requests(1000);
    let before = resident();
    assert_eq!(requests(100_000), bytes);
    let after = resident();
    assert!(after < before + (1 << 20), "{before} bytes, then {after}");
}
