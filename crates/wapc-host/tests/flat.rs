//! 100,000 calls leave memory as it was. In a program of its own: what others take would count.

mod common;

use common::{Host, guest};

/// Bytes of this process in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn memory_is_flat_over_100_000_calls() {
    // It calls the host, logs, fails each other time, and answers with the message.
    let body = "(drop (call $host_call (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 4096) (local.get $message)))
        (call $host_error (i32.const 200))
        (call $guest_error (i32.const 200) (call $host_error_len))
        (call $guest_request (i32.const 1024) (i32.const 4096))
        (call $guest_response (i32.const 4096) (local.get $message))
        (i32.and (local.get $operation) (i32.const 1))";
    let mut host = Host::start(&guest(body));
    host.mock.be_quiet();
    let mut calls = |count: usize| {
        for i in 0..count {
            // Some of them are larger than what is kept.
            let message = vec![7; [0, 1, 100, 1000, 100_000][i % 5]];
            let answer = host
                .plugin
                .call(&b"operation"[..8 + i % 2], message.clone());
            assert_eq!(answer.is_ok(), i % 2 == 1);
        }
        host.plugin.memory_bytes()
    };
    let bytes = calls(1000);
    let before = resident();
    assert_eq!(calls(100_000), bytes);
    let after = resident();
    assert!(after < before + (1 << 20), "{before} bytes, then {after}");
}
