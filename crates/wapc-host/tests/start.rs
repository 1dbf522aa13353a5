//! What runs when an instance starts.

use std::time::Duration;

use wapc_host::{Limits, PluginConfig, StartError};

use crate::common::{Host, Mock, guest_with, try_start};

fn say(character: char) -> String {
    format!(
        "(i32.store8 (i32.const 0) (i32.const {})) (call $console_log (i32.const 0) (i32.const 1))",
        character as u32
    )
}

fn export(name: &str, body: &str) -> String {
    format!("(func (export \"{name}\") {body})")
}

/// A guest with these start functions.
fn starting(functions: &[(&str, String)]) -> String {
    let items: String = functions
        .iter()
        .map(|(name, body)| export(name, body))
        .collect();
    guest_with(&items, "(i32.const 0)")
}

fn error(wat: &str) -> String {
    let started = try_start(wat, &Mock::default(), PluginConfig::default());
    started.err().expect("an error").to_string()
}

#[test]
fn start_functions_run_in_their_order() {
    let wat = starting(&[
        ("wapc_init", say('c')),
        ("_initialize", say('b')),
        ("_start", say('a')),
    ]);
    assert_eq!(Host::start(&wat).mock.lines(), ["a", "b", "c"]);
    let wat = starting(&[("wapc_init", say('c'))]);
    assert_eq!(Host::start(&wat).mock.lines(), ["c"]);
    assert!(Host::start(&starting(&[])).mock.lines().is_empty());
}

#[test]
fn proc_exit_0_is_a_start_and_other_codes_are_none() {
    let exit = |code: i32| format!("{} (call $proc_exit (i32.const {code}))", say('a'));
    let wat = starting(&[("_start", exit(0)), ("wapc_init", say('b'))]);
    assert_eq!(Host::start(&wat).mock.lines(), ["a", "b"]);
    for (name, code) in [("_start", 1), ("_initialize", -1), ("wapc_init", 3)] {
        let line = error(&starting(&[(name, exit(code))]));
        let expected = format!("{name} trapped: proc_exit({code})");
        assert!(line.starts_with(&expected), "{line}");
    }
}

#[test]
fn a_trap_is_no_start() {
    let line = error(&starting(&[("wapc_init", "(unreachable)".into())]));
    assert!(
        line.starts_with("wapc_init trapped: wasm trap: wasm `unreachable`"),
        "{line}"
    );
    let line = error(&guest_with(
        "(func $section (unreachable)) (start $section)",
        "(i32.const 0)",
    ));
    assert!(
        line.starts_with("cannot be instantiated: wasm trap: wasm `unreachable`"),
        "{line}"
    );
}

#[test]
fn the_host_can_be_called_from_the_start() {
    let body = "(drop (call $host_call (i32.const 0) (i32.const 1) (i32.const 16) (i32.const 8)
            (i32.const 32) (i32.const 3) (i32.const 0) (i32.const 0)))
        (call $host_error (i32.const 100))
        (call $console_log (i32.const 100) (call $host_error_len))
        (call $guest_request (i32.const -1) (i32.const -1))";
    let wat = guest_with(
        &format!(
            r#"(data (i32.const 0) "k") (data (i32.const 16) "variable") (data (i32.const 32) "get")
            (func (export "wapc_init") {})"#,
            // There is no request yet, so that there is nothing to be written.
            body.replace(
                "(i32.const -1) (i32.const -1)",
                "(i32.const 131072) (i32.const 131072)"
            )
        ),
        "(i32.const 0)",
    );
    assert_eq!(Host::start(&wat).mock.lines(), ["not_found"]);
}

#[test]
fn start_sections_and_start_functions_share_a_time() {
    for items in [
        "(func $section (loop $on (br $on))) (start $section)".to_owned(),
        export("_start", "(loop $on (br $on))"),
    ] {
        let wat = guest_with(&items, "(i32.const 0)");
        let engine = wapc_host::Engine::new().unwrap();
        let _ticker = engine.start_ticker(Duration::from_millis(20)).unwrap();
        let program = wapc_host::Program::compile(&engine, wat.as_bytes()).unwrap();
        let config = PluginConfig {
            limits: Limits {
                start_time: Duration::from_millis(50),
                ..Limits::default()
            },
            ..PluginConfig::default()
        };
        let started = wapc_host::Plugin::start(&engine, &program, Mock::default(), config.into());
        match started.err().expect("an error") {
            StartError::Trap { reason, .. } | StartError::Instantiate(reason) => {
                assert!(reason.contains("over start_time=50ms"), "{reason}");
            }
            other => panic!("{other}"),
        }
    }
}
