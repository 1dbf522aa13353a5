//! What is a waPC guest, and what is none.

use wapc_host::{Engine, LoadError, Program, is_wapc};

use crate::common::{ECHO, guest};

fn error(wat: &str) -> String {
    let engine = Engine::new().unwrap();
    match Program::compile(&engine, wat.as_bytes()) {
        Ok(_) => panic!("{wat}"),
        Err(error) => error.to_string(),
    }
}

const CALL: &str = r#"(func (export "__guest_call") (param i32 i32) (result i32) (i32.const 0))"#;
const MEMORY: &str = r#"(memory (export "memory") 1)"#;

#[test]
fn guests_without_imports_and_with_all_of_them() {
    let engine = Engine::new().unwrap();
    Program::compile(&engine, guest(ECHO).as_bytes()).unwrap();
    let small = format!("(module {MEMORY} {CALL})");
    let program = Program::compile(&engine, small.as_bytes()).unwrap();
    assert_eq!(*program.sha256(), wasm_runtime::sha256(small.as_bytes()));
}

#[test]
fn what_is_missing() {
    assert_eq!(
        error(&format!("(module {MEMORY})")),
        "not a waPC guest: exports no __guest_call"
    );
    assert_eq!(
        error(&format!("(module {CALL})")),
        "exports no memory of the name \"memory\""
    );
    let engine = Engine::new().unwrap();
    let broken = Program::compile(&engine, b"\0asm\x01\0\0\0\xff");
    assert!(matches!(broken.err(), Some(LoadError::Runtime(_))));
}

#[test]
fn types() {
    assert_eq!(
        error(&format!(
            r#"(module {MEMORY} (func (export "__guest_call") (param i32) (result i32) (i32.const 0)))"#
        )),
        "exports __guest_call as (i32) -> i32 instead of (i32, i32) -> i32"
    );
    for name in ["_start", "_initialize", "wapc_init"] {
        assert_eq!(
            error(&format!(
                r#"(module {MEMORY} {CALL} (func (export "{name}") (param i64)))"#
            )),
            format!("exports {name} as (i64) -> () instead of () -> ()")
        );
    }
    assert_eq!(
        error(&format!(
            r#"(module (import "wapc" "__host_response_len" (func)) {MEMORY} {CALL})"#
        )),
        "imports wapc.__host_response_len as () -> (), but this host provides it as () -> i32"
    );
}

#[test]
fn unknown_imports() {
    assert_eq!(
        error(&format!(
            r#"(module (import "wapc" "__host_tick" (func)) (import "env" "seed" (func)) {MEMORY} {CALL})"#
        )),
        "imports wapc.__host_tick, env.seed, which this host does not provide"
    );
}

#[test]
fn guests_are_recognized() {
    let engine = Engine::new().unwrap();
    let recognized = |wat: &str| {
        let outline = engine.compile_if(wat.as_bytes(), |outline| {
            Ok::<_, wasm_runtime::Error>(is_wapc(outline))
        });
        outline.unwrap().1
    };
    assert!(recognized(&guest(ECHO)));
    assert!(recognized(&format!("(module {CALL})")));
    assert!(recognized(
        r#"(module (import "wapc" "__console_log" (func)))"#
    ));
    assert!(!recognized("(module)"));
    assert!(!recognized(
        r#"(module (import "env" "wapc" (func)) (func (export "guest_call")))"#
    ));
}
