//! Calls of the guest: what it is asked, and what comes of its answers.

use wapc_host::CallError;

use crate::common::{ECHO, Host, MESSAGE, OPERATION, guest, guest_with};

#[test]
fn the_guest_is_asked_and_answers() {
    let body = format!(
        "(call $guest_request (i32.const {OPERATION}) (i32.const {MESSAGE}))
        (memory.copy (i32.const 200) (i32.const {OPERATION}) (local.get $operation))
        (memory.copy (i32.add (i32.const 200) (local.get $operation)) (i32.const {MESSAGE})
            (local.get $message))
        (call $guest_response (i32.const 200) (i32.add (local.get $operation) (local.get $message)))
        (i32.const 1)"
    );
    let mut host = Host::start(&guest(&body));
    assert_eq!(host.call("greet:", b"John Doe").unwrap(), b"greet:John Doe");
    assert_eq!(host.call("", b"").unwrap(), b"");
    assert_eq!(host.call("a", b"\0\xff").unwrap(), b"a\0\xff");
}

#[test]
fn large_messages_go_in_and_out() {
    let body = "(drop (memory.grow (i32.const 1600)))
        (call $guest_request (i32.const 1024) (i32.const 4096))
        (call $guest_response (i32.const 4096) (local.get $message))
        (i32.const 1)";
    let mut host = Host::start(&guest(body));
    let message: Vec<u8> = (0..32_u32 << 20).map(|i| (i % 251) as u8).collect();
    let response = host.plugin.call(b"", message.clone()).unwrap();
    assert!(*response == message[..]);
    assert!(host.plugin.take_response() == message);
    assert_eq!(host.plugin.take_response(), b"", "it is taken");
}

/// A guest that sets what its operation's length says, and answers with that of the message: 1 a response, 2 an error,
/// 3 both.
const OUTCOMES: &str = r#"
    (if (i32.and (local.get $operation) (i32.const 1))
        (then (call $guest_response (i32.const 10) (i32.const 8))))
    (if (i32.and (local.get $operation) (i32.const 2))
        (then (call $guest_error (i32.const 20) (i32.const 7))))
    (local.get $message)"#;
const TEXTS: &str = r#"(data (i32.const 10) "response") (data (i32.const 20) "it is b")"#;

#[test]
fn what_comes_of_answers() {
    let mut host = Host::start(&guest_with(TEXTS, OUTCOMES));
    let response = Ok(b"response".to_vec());
    let error = Err(CallError::Guest("it is b".into()));
    for (set, answer, outcome) in [
        ("", 0, Err(CallError::NoMessage)),
        ("", 1, Err(CallError::NoResponse)),
        ("r", 0, Err(CallError::NoMessage)),
        ("r", 1, response.clone()),
        ("er", 0, error.clone()),
        ("er", 1, error.clone()),
        ("bot", 0, error.clone()),
        // The response wins.
        ("bot", 1, response.clone()),
        // Any number but 0 is a success.
        ("r", 2, response.clone()),
        ("er", 7, error),
    ] {
        assert_eq!(host.call(set, &vec![0; answer]), outcome, "{set} {answer}");
    }
    assert!(!host.plugin.poisoned());
}

#[test]
fn nothing_of_a_call_is_left_to_the_next_one() {
    let mut host = Host::start(&guest_with(TEXTS, OUTCOMES));
    assert_eq!(host.call("bot", b"1").unwrap(), b"response");
    assert_eq!(host.call("", b"1"), Err(CallError::NoResponse));
    assert_eq!(host.call("", b""), Err(CallError::NoMessage));

    // Nor of a host call.
    let calls = r#"
        (if (local.get $operation) (then
            (drop (call $host_call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))))
        (i32.store (i32.const 0) (i32.add (call $host_error_len) (i32.mul (i32.const 1000) (call $host_response_len))))
        (call $guest_response (i32.const 0) (i32.const 4))
        (i32.const 1)"#;
    let mut host = Host::start(&guest(calls));
    assert_eq!(host.call("x", b"").unwrap(), 17_u32.to_le_bytes());
    assert_eq!(host.call("", b"").unwrap(), 0_u32.to_le_bytes());
}

#[test]
fn the_last_response_and_the_last_error_count() {
    let body = r#"
        (call $guest_response (i32.const 0) (i32.const 5))
        (call $guest_error (i32.const 0) (i32.const 5))
        (call $guest_response (i32.const 5) (i32.const 6))
        (call $guest_error (i32.const 5) (i32.const 6))
        (local.get $operation)"#;
    let wat = guest_with(r#"(data (i32.const 0) "firstsecond")"#, body);
    let mut host = Host::start(&wat);
    assert_eq!(host.call("1", b"").unwrap(), b"second");
    assert_eq!(host.call("", b""), Err(CallError::Guest("second".into())));
}

#[test]
fn an_empty_response_is_one_and_an_empty_error_too() {
    let body = r#"
        (if (local.get $operation)
            (then (call $guest_response (i32.const 0) (i32.const 0)))
            (else (call $guest_error (i32.const 0) (i32.const 0))))
        (local.get $operation)"#;
    let mut host = Host::start(&guest(body));
    assert_eq!(host.call("1", b"").unwrap(), b"");
    assert_eq!(host.call("", b""), Err(CallError::Guest(String::new())));
}

#[test]
fn an_error_is_shown_as_one_line() {
    let wat = guest_with(
        r#"(data (i32.const 0) "no\nsuch \ff thing")"#,
        "(call $guest_error (i32.const 0) (i32.const 15)) (i32.const 0)",
    );
    let error = Host::start(&wat).call("", b"").unwrap_err();
    assert_eq!(error, CallError::Guest("no\nsuch \u{fffd} thing".into()));
    assert_eq!(error.to_string(), "no\\nsuch \u{fffd} thing");
}

#[test]
fn memory_and_globals_live_on() {
    let body = "(global.set $count (i32.add (global.get $count) (i32.const 1)))
        (i32.store (i32.const 0) (global.get $count))
        (call $guest_response (i32.const 0) (i32.const 4))
        (i32.const 1)";
    let mut host = Host::start(&guest_with("(global $count (mut i32) (i32.const 0))", body));
    for count in 1..4_u32 {
        assert_eq!(host.call("", b"").unwrap(), count.to_le_bytes());
    }
}

#[test]
fn console_log_is_a_line_of_level_info() {
    let wat = guest_with(
        r#"(data (i32.const 0) "a line")"#,
        "(call $console_log (i32.const 0) (i32.const 6)) (i32.const 0)",
    );
    let mut host = Host::start(&wat);
    host.call("", b"").unwrap_err();
    assert_eq!(
        host.mock.take_logs(),
        [(wapc_host::LogLevel::Info, "a line".into())]
    );
    host.mock.be_quiet();
    host.call("", b"").unwrap_err();
}

#[test]
fn the_request_can_be_read_again() {
    let body = format!("(call $guest_request (i32.const 0) (i32.const 64)) {ECHO}");
    let mut host = Host::start(&guest(&body));
    assert_eq!(host.call("op", b"again").unwrap(), b"again");
}
