//! Addresses and lengths of a guest's: what lies outside of its memory is a trap.

use wapc_host::CallError;

use crate::common::{ECHO, Host, guest};

const END: u32 = 2 << 16;

/// What a call with this body traps with; the plugin is of no use then.
fn trap(body: &str) -> String {
    let mut host = Host::start(&guest(body));
    let reason = match host.plugin.call(b"operation", b"message".to_vec()) {
        Err(CallError::Trap(reason)) => reason,
        other => panic!("{other:?} of {body}"),
    };
    assert!(host.plugin.poisoned());
    assert_eq!(host.call("", b""), Err(CallError::Poisoned));
    reason
}

#[test]
fn each_function_with_each_wrong_address() {
    let bad = [
        (END, 1),
        (END - 3, 4),
        (u32::MAX, 1),
        (0, END + 1),
        (u32::MAX, u32::MAX),
        (1, u32::MAX),
    ];
    for (address, len) in bad {
        let (address, len) = (address as i32, len as i32);
        for function in ["guest_response", "guest_error", "console_log"] {
            let reason = trap(&format!(
                "(call ${function} (i32.const {address}) (i32.const {len})) (i32.const 1)"
            ));
            assert!(reason.contains("outside of the guest's memory"), "{reason}");
        }
        for place in 0..4 {
            let arguments: String = (0..4)
                .map(|at| match at == place {
                    true => format!("(i32.const {address}) (i32.const {len})"),
                    false => "(i32.const 0) (i32.const 0)".into(),
                })
                .collect();
            let reason = trap(&format!("(call $host_call {arguments})"));
            assert!(reason.contains("outside of the guest's memory"), "{reason}");
        }
    }
}

#[test]
fn room_for_the_request() {
    // The operation has 9 bytes, the message 7.
    for (operation, message) in [
        (END - 8, 0),
        (0, END - 6),
        (u32::MAX, 0),
        (0, u32::MAX),
        (END, END),
    ] {
        let reason = trap(&format!(
            "(call $guest_request (i32.const {}) (i32.const {})) (i32.const 1)",
            operation as i32, message as i32
        ));
        assert!(reason.contains("outside of the guest's memory"), "{reason}");
    }
    // Up to the very end.
    let body = format!(
        "(call $guest_request (i32.const {}) (i32.const {})) {ECHO}",
        END - 9,
        END - 7
    );
    let mut host = Host::start(&guest(&body));
    assert_eq!(host.call("operation", b"message").unwrap(), b"message");
}

#[test]
fn room_for_what_the_host_answers() {
    let call = r#"(drop (call $host_call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))"#;
    // The error has 17 bytes, the response none.
    for address in [END - 16, END, u32::MAX] {
        let reason = trap(&format!(
            "{call} (call $host_error (i32.const {})) (i32.const 1)",
            address as i32
        ));
        assert!(reason.contains("outside of the guest's memory"), "{reason}");
    }
    let past = format!(
        "{call} (call $host_response (i32.const {})) (i32.const 1)",
        END + 1
    );
    assert!(trap(&past).contains("outside of the guest's memory"));
    let body = format!(
        "{call} (call $host_error (i32.const {})) (call $host_response (i32.const {END}))
        (call $guest_response (i32.const {}) (call $host_error_len)) (i32.const 1)",
        END - 17,
        END - 17
    );
    let mut host = Host::start(&guest(&body));
    assert_eq!(host.call("", b"").unwrap(), b"unknown_operation");
}
