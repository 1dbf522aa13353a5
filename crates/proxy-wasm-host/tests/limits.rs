//! What a guest may use: processor time, memory, tables, stack.

use std::time::{Duration, Instant};

use crate::common::{Guest, MockProxy, MockStream, plugin_config, vm_config};
use proxy_wasm_host::ContextId;
use proxy_wasm_host::{CallError, Engine, Limits, Program, StartError, Ticker, Vm};

const LOOP: &str = "(loop $for_ever (br $for_ever))";

struct Limited {
    engine: Engine,
    limits: Limits,
    _ticker: Ticker,
}

impl Limited {
    fn new(limits: Limits) -> Limited {
        let engine = Engine::new().unwrap();
        let shortest = limits.cpu_time.min(limits.start_time);
        let _ticker = engine.start_ticker(shortest).unwrap();
        Limited {
            engine,
            limits,
            _ticker,
        }
    }

    fn start(&self, guest: &Guest) -> Result<Vm<MockProxy>, StartError> {
        let program = Program::compile(&self.engine, guest.wat().as_bytes()).unwrap();
        let mut config = vm_config();
        config.limits = self.limits;
        let mut vm = Vm::start(&self.engine, &program, MockProxy::default(), config)?;
        vm.create_root(plugin_config()).map(|_| vm)
    }

    /// Why a request's first callback fails.
    fn request(&self, guest: &Guest) -> String {
        let mut vm = self.start(guest).unwrap();
        let id = vm
            .create_stream(ContextId::new(1), MockStream::default())
            .unwrap();
        match vm.on_request_headers(id, 0, true) {
            Err(CallError::Trap { callback, reason }) => {
                assert!(vm.poisoned());
                assert_eq!(callback, "proxy_on_request_headers");
                reason
            }
            other => panic!("{other:?}"),
        }
    }
}

fn short() -> Limited {
    Limited::new(Limits {
        cpu_time: Duration::from_millis(30),
        ..Limits::default()
    })
}

#[test]
fn a_callback_ends_when_its_time_is_over() {
    let started = Instant::now();
    let guest = Guest::new().with(&format!("(func $spin {LOOP})"));
    let reason = short().request(&guest.request_headers("(call $spin)"));
    assert!(started.elapsed() >= Duration::from_millis(30));
    assert_eq!(
        reason,
        "over cpu_time=30ms in spin < proxy_on_request_headers_"
    );
}

#[test]
fn time_is_of_each_call_and_not_of_the_instance() {
    let limited = short();
    // Some milliseconds each.
    let work = "(local $i i32) (loop $on (local.set $i (i32.add (local.get $i) #1))
        (br_if $on (i32.lt_u (local.get $i) (i32.const 1000000))))";
    let guest = Guest::new().callback("on_request_headers", 3, true, &format!("{work} #0"));
    let mut vm = limited.start(&guest).unwrap();
    let id = vm
        .create_stream(ContextId::new(1), MockStream::default())
        .unwrap();
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(150) {
        vm.on_request_headers(id, 0, true).unwrap();
    }
}

#[test]
fn time_is_the_processor_s() {
    let limited = short();
    // Waits three times as long as it may run; some ticks come meanwhile.
    let guest = Guest::new().request_headers(
        "(drop (call $proxy_call_foreign_function {mock.sleep} {} @)) (loop $on
             (i32.store #24 (i32.add (i32.load #24) #1)) (br_if $on (i32.lt_u (i32.load #24) #9000)))",
    );
    let mut vm = limited.start(&guest).unwrap();
    let id = vm
        .create_stream(ContextId::new(1), MockStream::default())
        .unwrap();
    let started = Instant::now();
    vm.on_request_headers(id, 0, true).unwrap();
    assert!(started.elapsed() >= Duration::from_millis(100));
}

#[test]
fn a_thread_that_sleeps_is_woken_for_the_next_guest() {
    let limited = short();
    let guest = Guest::new().request_headers(LOOP);
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(100));
        let reason = limited.request(&guest);
        assert!(reason.starts_with("over cpu_time=30ms in "), "{reason}");
    }
}

#[test]
fn time_holds_with_a_stack_of_another_size() {
    let mut limited = short();
    limited.limits.stack = 128 << 10;
    let reason = limited.request(&Guest::new().request_headers(LOOP));
    assert!(reason.starts_with("over cpu_time=30ms in "), "{reason}");
}

#[test]
fn time_holds_wherever_a_guest_runs() {
    let mut limited = short();
    limited.limits.start_time = Duration::from_millis(20);
    let spin = || format!("(func $spin {LOOP})");
    let over = "over start_time=20ms in spin";
    let section = Guest::new().with(&spin()).with("(start $spin)");
    match limited.start(&section) {
        Err(StartError::Instantiate(reason)) => assert_eq!(reason, over),
        other => panic!("{:?}", other.err()),
    }
    for entry in ["_initialize", "_start", "main"] {
        let guest = Guest::new().with(&format!("(func $spin (export \"{entry}\") {LOOP})"));
        match limited.start(&guest) {
            Err(StartError::Call(CallError::Trap { callback, reason })) => {
                assert_eq!((callback, reason.as_str()), (entry, over));
            }
            other => panic!("{:?}", other.err()),
        }
    }
    for (callback, params) in [
        ("on_context_create", 2),
        ("on_vm_start", 2),
        ("on_configure", 2),
    ] {
        let result = params == 2 && callback != "on_context_create";
        let body = format!("{LOOP} {}", if result { "#1" } else { "" });
        match limited.start(&Guest::new().callback(callback, params, result, &body)) {
            Err(StartError::Call(CallError::Trap {
                callback: at,
                reason,
            })) => {
                assert_eq!(at.strip_prefix("proxy_"), Some(callback));
                assert!(reason.starts_with("over start_time=20ms in "), "{reason}");
            }
            other => panic!("{callback}: {:?}", other.err()),
        }
    }
    let allocator = Guest::new()
        .allocator(&format!(
            "(func (export \"malloc\") (param i32) (result i32) {LOOP} #0)"
        ))
        .request_headers("(drop (call $proxy_get_property {plugin_name} @))");
    let reason = limited.request(&allocator);
    assert!(
        reason.starts_with("in the guest's allocator: over cpu_time=30ms in "),
        "{reason}"
    );
}

/// Some 20 ms of work.
const WORK: &str = "(func $work (local $i i32) (loop $on (local.set $i (i32.add (local.get $i) #1))
    (br_if $on (i32.lt_u (local.get $i) (i32.const 60000000)))))";

#[test]
fn a_start_has_a_time_of_its_own() {
    let limited = Limited::new(Limits {
        cpu_time: Duration::from_millis(1),
        ..Limits::default()
    });
    let guest = Guest::new()
        .with(WORK)
        .with("(start $work)")
        .callback("on_vm_start", 2, true, "(call $work) #1")
        .callback("on_configure", 2, true, "(call $work) #1")
        .request_headers("(call $work)");
    let reason = limited.request(&guest);
    assert!(reason.starts_with("over cpu_time=1ms in work"), "{reason}");
}

#[test]
fn the_time_of_a_start_is_that_of_all_its_calls() {
    // Each call is far below it.
    let limited = Limited::new(Limits {
        start_time: Duration::from_millis(100),
        ..Limits::default()
    });
    let guest = Guest::new()
        .with(WORK)
        .callback("on_configure", 2, true, "(call $work) #1");
    let mut vm = limited.start(&guest).unwrap();
    for _ in 0..10_000 {
        match vm.create_root(plugin_config()) {
            Ok(_) => {}
            Err(StartError::Call(CallError::Trap { reason, .. })) => {
                assert!(
                    reason.starts_with("over start_time=100ms in work"),
                    "{reason}"
                );
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no end");
}

#[test]
fn memory_grows_up_to_the_limit() {
    let limited = Limited::new(Limits {
        memory: 3 << 16,
        ..Limits::default()
    });
    let guest = Guest::new()
        .memory(r#"(memory (export "memory") 1)"#)
        .request_headers(
            "(if (i32.ne (memory.grow #2) #1) (then unreachable))
             (if (i32.ne (memory.grow #1) (i32.const -1)) (then unreachable))
             (if (i32.ne (memory.size) #3) (then unreachable))",
        );
    let mut vm = limited.start(&guest).unwrap();
    let id = vm
        .create_stream(ContextId::new(1), MockStream::default())
        .unwrap();
    vm.on_request_headers(id, 0, true).unwrap();
    assert_eq!(vm.memory_bytes(), 3 << 16);

    let gives_up = Guest::new()
        .memory(r#"(memory (export "memory") 1)"#)
        .request_headers("(if (i32.eq (memory.grow #9) (i32.const -1)) (then unreachable))");
    let reason = limited.request(&gives_up);
    assert!(
        reason.ends_with(" (asked for 640k of memory, memory=192k)"),
        "{reason}"
    );

    match limited.start(&Guest::new().memory(r#"(memory (export "memory") 4)"#)) {
        Err(StartError::Instantiate(reason)) => {
            assert!(
                reason.ends_with(" (asked for 256k of memory, memory=192k)"),
                "{reason}"
            );
        }
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn tables_have_a_limit_together() {
    let limited = Limited::new(Limits {
        table: 100,
        ..Limits::default()
    });
    let tables = "(table $one 40 funcref) (table $two 40 funcref)";
    let grow =
        "(func $grow (param i32) (result i32) (table.grow $two (ref.null func) (local.get 0)))";
    let guest = Guest::new().with(tables).with(grow).request_headers(
        "(if (i32.ne (call $grow (i32.const 20)) (i32.const 40)) (then unreachable))
         (if (i32.ne (call $grow #1) (i32.const -1)) (then unreachable))",
    );
    let mut vm = limited.start(&guest).unwrap();
    let id = vm
        .create_stream(ContextId::new(1), MockStream::default())
        .unwrap();
    vm.on_request_headers(id, 0, true).unwrap();

    match limited.start(&Guest::new().with("(table 60 funcref) (table 41 funcref)")) {
        Err(StartError::Instantiate(reason)) => {
            assert!(
                reason.ends_with(" (asked for 101 table elements, table=100)"),
                "{reason}"
            );
        }
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn recursion_ends_with_the_stack() {
    let deep = |stack| {
        let limited = Limited::new(Limits {
            stack,
            ..Limits::default()
        });
        let guest = Guest::new()
            .with("(func $down (call $down))")
            .request_headers("(call $down)");
        limited.request(&guest)
    };
    let reason = deep(64 << 10);
    assert!(
        reason.starts_with("wasm trap: call stack exhausted in down < down < "),
        "{reason}"
    );
    assert!(reason.ends_with(" (stack=64k)"), "{reason}");
    assert!(reason.len() < 1000, "{reason}");
    assert!(deep(1 << 20).ends_with(" (stack=1m)"));
}
