//! Interfaces that are not offered, but that guests can import.

use component_host::Failure;

use crate::common::{Host, LABS, handler};

#[test]
fn sockets_answer_an_error() {
    for lab in LABS {
        let host = Host::lab(lab);
        for path in ["/connect?127.0.0.1:80", "/lookup?example.com"] {
            let text = host.get(path).whole();
            assert!(text.starts_with("error"), "{lab}{path}: {text}");
        }
    }
}

/// A guest that traps if it gets anything but the first case of this error.
fn guest(interface: &str, result: &str, types: &str, case: u32) -> String {
    handler(
        &format!(
            r#"(import "{interface}" (instance $denied
                {types}
                (export "open" (func (param "name" string) (result {result})))))
              (core module $memory
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
              (core instance $m (instantiate $memory))
              (core func $open (canon lower (func $denied "open")
                (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))"#
        ),
        &format!(
            r#"(call $open (i32.const 0) (i32.const 0) (i32.const 16))
               (if (i32.ne (i32.load8_u (i32.const 16)) (i32.const 1)) (then (unreachable)))
               (if (i32.ne (i32.load8_u (i32.const 20)) (i32.const {case})) (then (unreachable)))"#
        ),
    )
}

#[test]
fn interfaces_of_spin_answer_their_own_error() {
    let variant = r#"(type $e (variant (case "no-such-database") (case "access-denied") (case "io" string)))
        (export "error" (type $error (eq $e)))"#;
    let wat = guest(
        "fermyon:spin/sqlite@2.0.0",
        "(result u32 (error $error))",
        variant,
        1,
    );
    let came = Host::new(wat.as_bytes()).get("/");
    assert_eq!(came.outcome, Err(Failure::NoResponse), "{came:?}");

    let text = r#"(type $e (variant (case "connection-failed" string) (case "other" string)))
        (export "error" (type $error (eq $e)))"#;
    let wat = guest(
        "spin:mysql/mysql@3.0.0",
        "(result u32 (error $error))",
        text,
        1,
    );
    let came = Host::new(wat.as_bytes()).get("/");
    assert_eq!(came.outcome, Err(Failure::NoResponse), "{came:?}");
}

#[test]
fn what_has_no_error_traps_with_words() {
    let wat = guest("fermyon:spin/llm@2.0.0", "u32", "", 0).replace(
        "(i32.const 0) (i32.const 0) (i32.const 16))",
        "(i32.const 0) (i32.const 0)) drop",
    );
    let came = Host::new(wat.as_bytes()).get("/");
    let failure = came.outcome.unwrap_err().to_string();
    assert!(
        failure.contains("fermyon:spin/llm@2.0.0#open is not available"),
        "{failure}"
    );
}
