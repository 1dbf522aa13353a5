//! Guests that loop, grow, trap and abort.

use std::rc::Rc;
use std::time::Duration;

use wapc_host::{CallError, Engine, Limits, Plugin, PluginConfig, Program};

use crate::common::{Host, Mock, guest, guest_with};

#[test]
fn a_loop_ends_with_its_time() {
    let engine = Engine::new().unwrap();
    let _ticker = engine.start_ticker(Duration::from_millis(20)).unwrap();
    let wat = guest("(loop $on (br $on)) (i32.const 1)");
    let program = Program::compile(&engine, wat.as_bytes()).unwrap();
    let config = PluginConfig {
        limits: Limits {
            cpu_time: Duration::from_millis(50),
            ..Limits::default()
        },
        ..PluginConfig::default()
    };
    let mut plugin = Plugin::start(&engine, &program, Mock::default(), Rc::new(config)).unwrap();
    match plugin.call(b"", vec![]) {
        Err(CallError::Trap(reason)) => assert!(reason.contains("over cpu_time=50ms"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(plugin.call(b"", vec![]), Err(CallError::Poisoned));
}

#[test]
fn memory_ends_with_its_limit() {
    let config = PluginConfig {
        limits: Limits {
            memory: 1 << 20,
            ..Limits::default()
        },
        ..PluginConfig::default()
    };
    let body = "(if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then (unreachable))) (i32.const 1)";
    let mut host = Host::with(&guest(body), config);
    let reason = host.trap();
    assert!(
        reason.ends_with("(asked for 6528k of memory, memory=1m)"),
        "{reason}"
    );
    assert_eq!(host.plugin.memory_bytes(), 2 << 16);
}

#[test]
fn deep_calls_end_with_the_stack() {
    let wat = guest_with("(func $deep (call $deep))", "(call $deep) (i32.const 1)");
    let reason = Host::start(&wat).trap();
    assert!(reason.ends_with("(stack=512k)"), "{reason}");
}

#[test]
fn nothing_is_called_after_a_trap() {
    let body = "(if (local.get $operation) (then (unreachable)))
        (call $guest_response (i32.const 0) (i32.const 0)) (i32.const 1)";
    let mut host = Host::start(&guest(body));
    assert_eq!(host.call("", b"").unwrap(), b"");
    match host.call("x", b"") {
        Err(CallError::Trap(reason)) => {
            assert!(
                reason.starts_with("wasm trap: wasm `unreachable`"),
                "{reason}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(host.plugin.poisoned());
    assert_eq!(host.call("", b""), Err(CallError::Poisoned));
}

#[test]
fn a_trap_counts_for_more_than_what_was_set_before() {
    let body = "(call $guest_response (i32.const 0) (i32.const 4))
        (call $guest_error (i32.const 0) (i32.const 4)) (unreachable)";
    let reason = Host::start(&guest(body)).trap();
    assert!(
        reason.starts_with("wasm trap: wasm `unreachable`"),
        "{reason}"
    );
}

#[test]
fn proc_exit_ends_a_call_whatever_the_code() {
    for code in [0, 1] {
        let body = format!("(call $proc_exit (i32.const {code})) (i32.const 1)");
        let reason = Host::start(&guest(&body)).trap();
        assert!(
            reason.starts_with(&format!("proc_exit({code})")),
            "{reason}"
        );
    }
}

#[test]
fn assemblyscript_aborts_with_a_message() {
    // Strings have their length in front of them, in bytes of UTF-16.
    let wat = guest_with(
        r#"(data (i32.const 16) "\08\00\00\00n\00o\00n\00e\00") (data (i32.const 36) "\08\00\00\00a\00.\00t\00s\00")"#,
        "(call $abort (i32.const 20) (i32.const 40) (i32.const 3) (i32.const 5)) (i32.const 1)",
    );
    let reason = Host::start(&wat).trap();
    assert!(reason.starts_with("abort: none at a.ts:3:5"), "{reason}");
    let wat = guest(
        "(call $abort (i32.const -1) (i32.const 0) (i32.const 3) (i32.const 5)) (i32.const 1)",
    );
    let reason = Host::start(&wat).trap();
    assert!(
        reason.starts_with("abort: no message at unknown file:3:5"),
        "{reason}"
    );
}
