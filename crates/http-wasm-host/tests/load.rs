//! What is refused before it is compiled.

use http_wasm_host::{Engine, Imports, Program};

use crate::common::{IMPORTS, next};

fn refused(wat: &str) -> String {
    let engine = Engine::new().unwrap();
    match Program::compile(&engine, wat.as_bytes()) {
        Ok(_) => panic!("{wat}"),
        Err(error) => error.to_string(),
    }
}

const MEMORY: &str = r#"(memory (export "memory") 1)"#;
const REQUEST: &str = r#"(func (export "handle_request") (result i64) (i64.const 1))"#;
const RESPONSE: &str = r#"(func (export "handle_response") (param i32 i32))"#;

#[test]
fn both_handlers_and_a_memory_are_exported() {
    assert_eq!(
        refused(&format!("(module {MEMORY} {RESPONSE})")),
        "not an http-wasm guest: exports no handle_request"
    );
    assert_eq!(
        refused(&format!("(module {MEMORY} {REQUEST})")),
        "not an http-wasm guest: exports no handle_response"
    );
    assert_eq!(
        refused(&format!("(module {REQUEST} {RESPONSE})")),
        "exports no memory of the name \"memory\""
    );
}

#[test]
fn the_handlers_have_their_types() {
    let request = r#"(func (export "handle_request") (result i32) (i32.const 1))"#;
    assert_eq!(
        refused(&format!("(module {MEMORY} {request} {RESPONSE})")),
        "exports handle_request as () -> i32 instead of () -> i64"
    );
    let response = r#"(func (export "handle_response") (param i64))"#;
    assert_eq!(
        refused(&format!("(module {MEMORY} {REQUEST} {response})")),
        "exports handle_response as (i64) -> () instead of (i32, i32) -> ()"
    );
    let start = r#"(func (export "_start") (param i32))"#;
    assert_eq!(
        refused(&format!("(module {MEMORY} {REQUEST} {RESPONSE} {start})")),
        "exports _start as (i32) -> () instead of () -> ()"
    );
}

#[test]
fn imports_are_known_and_of_their_types() {
    let unknown = r#"(import "http_handler" "get_time" (func))"#;
    assert_eq!(
        refused(&format!("(module {unknown} {MEMORY} {REQUEST} {RESPONSE})")),
        "imports http_handler.get_time, which this host does not provide"
    );
    let other = r#"(import "http_handler" "get_status_code" (func (result i64)))"#;
    assert_eq!(
        refused(&format!("(module {other} {MEMORY} {REQUEST} {RESPONSE})")),
        "imports http_handler.get_status_code as () -> i64, but this host provides it as () -> i32"
    );
}

#[test]
fn what_a_guest_can_do_is_known_by_its_imports() {
    let engine = Engine::new().unwrap();
    let imports = |wat: &str| Program::compile(&engine, wat.as_bytes()).unwrap().imports();
    let none = format!("(module {MEMORY} {REQUEST} {RESPONSE})");
    assert_eq!(imports(&none), Imports::default());
    let all = Imports {
        enables_features: true,
        reads_bodies: true,
        writes_bodies: true,
    };
    assert_eq!(imports(&next("", "", "")), all);
    assert_eq!(IMPORTS.matches("http_handler").count(), 19);
}
