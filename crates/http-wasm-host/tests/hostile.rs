//! Guests that loop, grow and give up.

use std::rc::Rc;
use std::time::Duration;

use http_wasm_host::{CallError, Engine, Limits, Program, Vm, VmConfig};

use crate::common::{Host, Mock, guest_with, next, texts};

fn limited(limits: Limits) -> VmConfig {
    VmConfig {
        limits,
        ..VmConfig::default()
    }
}

#[test]
fn a_loop_ends_with_its_time() {
    let engine = Engine::new().unwrap();
    let _ticker = engine.start_ticker(Duration::from_millis(20)).unwrap();
    for (request, response) in [("(loop $on (br $on))", ""), ("", "(loop $on (br $on))")] {
        let wat = next("", request, response);
        let program = Program::compile(&engine, wat.as_bytes()).unwrap();
        let config = limited(Limits {
            cpu_time: Duration::from_millis(50),
            ..Limits::default()
        });
        let mut vm = Vm::start(&engine, &program, Mock::default(), Rc::new(config)).unwrap();
        let result = vm.handle_request(Mock::default());
        let result = result.and_then(|_| vm.handle_response(false));
        match result {
            Err(CallError::Trap { reason, .. }) => {
                assert!(reason.contains("over cpu_time=50ms"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_loop_of_host_calls_ends_with_its_time() {
    let engine = Engine::new().unwrap();
    let _ticker = engine.start_ticker(Duration::from_millis(20)).unwrap();
    let names = "(loop $on
        (drop (call $get_header_names (i32.const 0) (i32.const 0) (i32.const 0))) (br $on))";
    let program = Program::compile(&engine, next("", names, "").as_bytes()).unwrap();
    let config = limited(Limits {
        cpu_time: Duration::from_millis(50),
        ..Limits::default()
    });
    let mock = Mock::default();
    for i in 0..1000 {
        mock.add(
            http_wasm_host::HeaderKind::Request,
            &format!("name-{i}"),
            "value",
        );
    }
    let mut vm = Vm::start(&engine, &program, mock.clone(), Rc::new(config)).unwrap();
    match vm.handle_request(mock) {
        Err(CallError::Trap { reason, .. }) => {
            assert!(reason.contains("over cpu_time"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn memory_ends_with_its_limit() {
    let grow = "(if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then (unreachable)))";
    let config = limited(Limits {
        memory: 1 << 20,
        ..Limits::default()
    });
    let mut host = Host::with(&next("", grow, ""), config);
    match host.try_request() {
        Err(CallError::Trap { reason, .. }) => assert!(
            reason.ends_with("(asked for 6528k of memory, memory=1m)"),
            "{reason}"
        ),
        other => panic!("{other:?}"),
    }
    assert_eq!(host.vm.memory_bytes(), 2 << 16);
}

#[test]
fn deep_calls_end_with_the_stack() {
    let wat = next("(func $deep (call $deep))", "(call $deep)", "");
    match Host::start(&wat).try_request() {
        Err(CallError::Trap { reason, .. }) => {
            assert!(reason.ends_with("(stack=512k)"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn proc_exit_ends_a_call_whatever_the_code() {
    for code in [0, 1] {
        let exit = format!("(call $proc_exit (i32.const {code}))");
        let trap = Host::start(&next("", &exit, "")).request_trap();
        assert_eq!(trap, format!("proc_exit({code})"));
    }
}

#[test]
fn assemblyscript_aborts_with_a_message() {
    // Strings have their length in front of them, in bytes of UTF-16.
    let wat = next(
        r#"(data (i32.const 16) "\08\00\00\00n\00o\00n\00e\00") (data (i32.const 36) "\08\00\00\00a\00.\00t\00s\00")"#,
        "(call $abort (i32.const 20) (i32.const 40) (i32.const 3) (i32.const 5))",
        "",
    );
    assert_eq!(Host::start(&wat).request_trap(), "abort: none at a.ts:3:5");
}

#[test]
fn what_was_answered_before_a_trap_is_gone() {
    let (data, text) = texts(&["secret"]);
    let request = format!("(call $write_body (i32.const 1) {}) (unreachable)", text[0]);
    let mut host = Host::start(&guest_with(&data, &request, ""));
    host.request_trap();
    assert!(host.vm.take_answer().is_empty());
}
