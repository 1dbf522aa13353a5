//! What a program must be.

use proxy_wasm_host::{AbiVersion, Engine, LoadError, Program};

/// The smallest module of a version, with further fields.
fn module(version: &str, fields: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 1)
            (func (export "proxy_abi_version_{version}")) {fields})"#
    )
}

fn compile(wat: &str) -> Result<Program, LoadError> {
    let result = Program::compile(&Engine::new().unwrap(), wat.as_bytes());
    if let Err(error) = &result {
        assert!(!error.to_string().contains('\n'));
    }
    result
}

fn error(wat: &str) -> String {
    match compile(wat) {
        Ok(_) => panic!("compiled: {wat}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn versions() {
    for (marker, version) in [
        ("0_1_0", AbiVersion::V0_1_0),
        ("0_2_0", AbiVersion::V0_2_0),
        ("0_2_1", AbiVersion::V0_2_1),
        ("0_2_100", AbiVersion::V0_2_100),
    ] {
        assert_eq!(compile(&module(marker, "")).unwrap().abi(), version);
    }
    let two = module("0_1_0", r#"(func (export "proxy_abi_version_0_2_0"))"#);
    assert_eq!(compile(&two).unwrap().abi(), AbiVersion::V0_2_0);
    assert!(AbiVersion::V0_1_0 < AbiVersion::V0_2_0);
}

#[test]
fn no_version_or_an_unknown_one() {
    assert_eq!(
        error(r#"(module (memory (export "memory") 1))"#),
        "not a Proxy-Wasm module: exports none of proxy_abi_version_0_1_0, \
         proxy_abi_version_0_2_0, proxy_abi_version_0_2_1 and proxy_abi_version_0_2_100"
    );
    assert_eq!(
        error(&module("0_3_0", "")),
        "exports proxy_abi_version_0_3_0, but this host supports the Proxy-Wasm ABI \
         0.1.0, 0.2.0, 0.2.1 and 0.2.100"
    );
}

#[test]
fn no_memory() {
    let missing = r#"(module (func (export "proxy_abi_version_0_2_0")))"#;
    assert_eq!(error(missing), "exports no memory of the name \"memory\"");
    let wrong = r#"(module (func (export "proxy_abi_version_0_2_0")) (func (export "memory")))"#;
    assert_eq!(error(wrong), "exports no memory of the name \"memory\"");
}

#[test]
fn errors_of_the_runtime_pass_through() {
    assert_eq!(error("#!/bin/sh"), "not a WebAssembly module");
    assert!(error("(module (func (result i33)))").starts_with("invalid WebAssembly text: "));
    assert!(error("(module (memory 1 1 shared))").starts_with("needs a WebAssembly feature"));
}

/// Every callback with its type.
const CALLBACKS: [(&str, &str); 26] = [
    ("proxy_on_context_create", "(param i32 i32)"),
    ("proxy_on_vm_start", "(param i32 i32) (result i32)"),
    ("proxy_on_configure", "(param i32 i32) (result i32)"),
    ("proxy_on_tick", "(param i32)"),
    ("proxy_on_queue_ready", "(param i32 i32)"),
    (
        "proxy_on_request_headers",
        "(param i32 i32 i32) (result i32)",
    ),
    ("proxy_on_request_body", "(param i32 i32 i32) (result i32)"),
    ("proxy_on_request_trailers", "(param i32 i32) (result i32)"),
    (
        "proxy_on_response_headers",
        "(param i32 i32 i32) (result i32)",
    ),
    ("proxy_on_response_body", "(param i32 i32 i32) (result i32)"),
    ("proxy_on_response_trailers", "(param i32 i32) (result i32)"),
    ("proxy_on_http_call_response", "(param i32 i32 i32 i32 i32)"),
    ("proxy_on_redis_call_response", "(param i32 i32 i32 i32)"),
    (
        "proxy_on_grpc_receive_initial_metadata",
        "(param i32 i32 i32)",
    ),
    ("proxy_on_grpc_receive", "(param i32 i32 i32)"),
    (
        "proxy_on_grpc_receive_trailing_metadata",
        "(param i32 i32 i32)",
    ),
    ("proxy_on_grpc_close", "(param i32 i32 i32)"),
    ("proxy_on_new_connection", "(param i32) (result i32)"),
    (
        "proxy_on_downstream_data",
        "(param i32 i32 i32) (result i32)",
    ),
    ("proxy_on_upstream_data", "(param i32 i32 i32) (result i32)"),
    ("proxy_on_downstream_connection_close", "(param i32 i32)"),
    ("proxy_on_upstream_connection_close", "(param i32 i32)"),
    ("proxy_on_foreign_function", "(param i32 i32 i32)"),
    ("proxy_on_done", "(param i32) (result i32)"),
    ("proxy_on_log", "(param i32)"),
    ("proxy_on_delete", "(param i32)"),
];

fn export((name, types): (&str, &str)) -> String {
    format!("(func (export \"{name}\") {types} unreachable)\n")
}

#[test]
fn the_exported_callbacks_are_known() {
    let none = compile(&module("0_2_0", "")).unwrap().callbacks();
    let fields: String = CALLBACKS.map(export).concat();
    let all = compile(&module("0_2_0", &fields)).unwrap().callbacks();
    let body = export(CALLBACKS[9]);
    let one = compile(&module("0_2_0", &body)).unwrap().callbacks();

    for (callbacks, expected) in [(none, false), (all, true)] {
        for known in [
            callbacks.context_create(),
            callbacks.vm_start(),
            callbacks.configure(),
            callbacks.tick(),
            callbacks.queue_ready(),
            callbacks.request_headers(),
            callbacks.request_body(),
            callbacks.request_trailers(),
            callbacks.response_headers(),
            callbacks.response_body(),
            callbacks.response_trailers(),
            callbacks.http_call_response(),
            callbacks.grpc_receive_initial_metadata(),
            callbacks.grpc_receive(),
            callbacks.grpc_receive_trailing_metadata(),
            callbacks.grpc_close(),
            callbacks.new_connection(),
            callbacks.downstream_data(),
            callbacks.upstream_data(),
            callbacks.downstream_connection_close(),
            callbacks.upstream_connection_close(),
            callbacks.foreign_function(),
            callbacks.done(),
            callbacks.log(),
            callbacks.delete(),
        ] {
            assert_eq!(known, expected);
        }
    }
    assert!(one.response_body() && !one.request_body() && !one.response_headers());
}

#[test]
fn a_callback_of_another_type_is_named() {
    for (name, types) in CALLBACKS {
        for wrong in [format!("{types} (param i64)"), "(result f32)".to_owned()] {
            // Parameters come before results.
            let wrong = match wrong.split_once(" (result i32) (param i64)") {
                Some((params, _)) => format!("{params} (param i64) (result i32)"),
                None => wrong,
            };
            let error = error(&module("0_2_0", &export((name, &wrong))));
            assert!(error.starts_with(&format!("exports {name} as ")), "{error}");
        }
        let global = format!("(global (export \"{name}\") i32 (i32.const 0))");
        let error = error(&module("0_2_0", &global));
        assert!(error.contains("something that is no function"), "{error}");
    }
    assert_eq!(
        error(&module(
            "0_2_0",
            r#"(func (export "proxy_on_done") (param i32))"#
        )),
        "exports proxy_on_done as (i32) -> () instead of (i32) -> i32"
    );
    assert_eq!(
        error(&module(
            "0_2_0",
            r#"(func (export "proxy_on_request_headers") (param i32))"#
        )),
        "exports proxy_on_request_headers as (i32) -> () \
         instead of (i32, i32, i32) -> i32 or (i32, i32) -> i32"
    );
}

#[test]
fn header_callbacks_of_either_type_in_any_version() {
    let short = "(param i32 i32) (result i32)";
    for version in ["0_1_0", "0_2_0", "0_2_1"] {
        let fields = export(("proxy_on_request_headers", short))
            + &export(("proxy_on_response_headers", short));
        let callbacks = compile(&module(version, &fields)).unwrap().callbacks();
        assert!(callbacks.request_headers() && callbacks.response_headers());
    }
}

#[test]
fn allocators_and_entry_points_are_checked() {
    let wrong = "(param i64)";
    for name in [
        "proxy_on_memory_allocate",
        "malloc",
        "_initialize",
        "_start",
        "main",
    ] {
        let error = error(&module("0_2_0", &export((name, wrong))));
        assert!(
            error.starts_with(&format!("exports {name} as (i64) -> () ")),
            "{error}"
        );
    }
    // What is not used may have any type.
    let allocate = export(("proxy_on_memory_allocate", "(param i32) (result i32)"));
    assert!(compile(&module("0_2_0", &(allocate + &export(("malloc", wrong))))).is_ok());
    let initialize = export(("_initialize", ""));
    assert!(compile(&module("0_2_0", &(initialize + &export(("_start", wrong))))).is_ok());
    let start = export(("_start", ""));
    assert!(compile(&module("0_2_0", &(start + &export(("main", wrong))))).is_ok());
    for main in ["(param i32 i32) (result i32)", "(result i32)", ""] {
        assert!(compile(&module("0_2_0", &export(("main", main)))).is_ok());
    }
}

#[test]
fn unchanged_bytes_are_the_same_program() {
    let engine = Engine::new().unwrap();
    let wat = module("0_2_0", "");
    let first = Program::compile(&engine, wat.as_bytes()).unwrap();
    let second = Program::compile(&engine, wat.as_bytes()).unwrap();
    assert_eq!(first.sha256(), second.sha256());
    assert_eq!(first.sha256(), &proxy_wasm_host::sha256(wat.as_bytes()));
    let hex: String = proxy_wasm_host::sha256(b"abc")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    // FIPS 180-4's example.
    assert_eq!(
        hex,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn names_do_not_break_the_line_of_an_error() {
    let memory = r#"(memory (export "memory") 1)"#;
    let known = r#"(func (export "proxy_abi_version_0_2_1"))"#;
    let import = format!(r#"(module (import "env" "a\0a\0db\00é" (func)) {memory} {known})"#);
    let marker = format!(r#"(module {memory} (func (export "proxy_abi_version_9\0a9")))"#);
    let engine = Engine::new().unwrap();
    for (wat, name) in [
        (import, r"env.a\n\rb\u{0}é,"),
        (marker, r"proxy_abi_version_9\n9,"),
    ] {
        let error = Program::compile(&engine, wat.as_bytes()).err().unwrap();
        let line = error.to_string();
        assert!(line.contains(name), "{line}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}
