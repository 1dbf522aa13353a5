//! How a trap is told.

use wasm_runtime::wasmtime::{Error, Linker, Store};
use wasm_runtime::{Engine, trap_reason};

/// Calls `run` of a module that may import `env.fail`.
fn run(module: &str) -> String {
    let engine = Engine::new().unwrap();
    let artifact = engine.compile(module.as_bytes()).unwrap();
    let module = engine.load(&artifact).unwrap();
    let mut store = Store::new(engine.wasmtime(), ());
    // No clock runs here.
    store.set_epoch_deadline(1);
    let mut linker = Linker::new(engine.wasmtime());
    linker
        .func_wrap("env", "fail", || -> Result<(), Error> {
            Err(Error::msg("first\nsecond \t line").context("while testing"))
        })
        .unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let run = instance
        .get_typed_func::<(), ()>(&mut store, "run")
        .unwrap();
    let reason = trap_reason(&run.call(&mut store, ()).unwrap_err());
    println!("{reason}");
    assert!(!reason.contains('\n'));
    reason
}

#[test]
fn frames_are_named_innermost_first() {
    let reason = run(r#"(module
        (func $inner unreachable)
        (func $_ZN4core6option6unwrap17h0123456789abcdefE call $inner)
        (func $_ZNSt6vectorIiE4backEv call $_ZN4core6option6unwrap17h0123456789abcdefE)
        (func (export "run") call $_ZNSt6vectorIiE4backEv))"#);
    assert_eq!(
        reason,
        "wasm trap: wasm `unreachable` instruction executed \
         in inner < core::option::unwrap < std::vector<int>::back() < function 3"
    );
}

#[test]
fn a_host_function_s_error_is_told_with_its_causes_in_one_line() {
    let reason = run(r#"(module
        (import "env" "fail" (func $fail))
        (func $run (export "run") call $fail))"#);
    assert_eq!(reason, "while testing: first second line in run");
}

#[test]
fn an_overflowing_stack_is_a_trap() {
    let reason = run(r#"(module (func $run (export "run") call $run))"#);
    assert!(reason.contains("call stack exhausted"), "{reason}");
    // The frames are limited.
    assert!(reason.len() < 1000, "{reason}");
}

#[test]
fn endless_names_are_cut() {
    let name = "é".repeat(5000);
    let reason = run(&format!(
        r#"(module (func $"{name}" (export "run") unreachable))"#
    ));
    assert!(reason.len() < 300, "{reason}");
    assert!(reason.ends_with("é…"), "{reason}");
}
