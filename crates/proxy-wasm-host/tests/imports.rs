//! Every import is there for every guest, and none traps for misuse.

use crate::common::imports::{ENV, WASI, WASI_MODULES, import};
use crate::common::{Guest, Host, MockProxy, MockStream, compile, statuses, try_start};
use proxy_wasm_host::{BufferType, Engine, InterfaceError, LoadError, MapType, Program};

fn module(imports: &str) -> String {
    format!(
        r#"(module {imports} (memory (export "memory") 1)
            (func (export "proxy_abi_version_0_2_0")))"#
    )
}

#[test]
fn all_of_them_in_all_versions() {
    let engine = Engine::new().unwrap();
    let env = ENV.iter().map(|f| import("env", f, f.0));
    let wasi = WASI_MODULES.iter().flat_map(|module| {
        WASI.iter()
            .map(move |f| import(module, f, &format!("{module}.{}", f.0)))
    });
    let imports: String = env.chain(wasi).collect();
    for version in ["0_1_0", "0_2_0", "0_2_1"] {
        compile(&engine, &module(&imports).replace("0_2_0", version));
    }
}

#[test]
fn another_type_is_an_error_that_names_both() {
    let engine = Engine::new().unwrap();
    let all = ENV.iter().map(|f| ("env", f));
    let all = all.chain(WASI.iter().map(|f| (WASI_MODULES[0], f)));
    for (from, (name, params, result)) in all {
        let wrong = (*name, &*format!("{params}L"), *result);
        let error = Program::compile(&engine, module(&import(from, &wrong, name)).as_bytes());
        match error.err() {
            Some(LoadError::Interface(InterfaceError::ImportType { name: told, .. })) => {
                assert_eq!(told, format!("{from}.{name}"));
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    let wrong = module(r#"(import "env" "proxy_log" (func (param i32 i32)))"#);
    let error = Program::compile(&engine, wrong.as_bytes()).err().unwrap();
    assert_eq!(
        error.to_string(),
        "imports env.proxy_log as (i32, i32) -> (), \
         but this host provides it as (i32, i32, i32) -> i32"
    );
    let wrong = module(r#"(import "env" "proxy_log" (global i32))"#);
    let error = Program::compile(&engine, wrong.as_bytes()).err().unwrap();
    assert!(
        matches!(
            error,
            LoadError::Interface(InterfaceError::ImportType { .. })
        ),
        "{error}"
    );
}

#[test]
fn unknown_imports_are_named() {
    let engine = Engine::new().unwrap();
    let unknown = module(
        r#"(import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
           (import "env" "proxy_teleport" (func))
           (import "env" "proxy_teleport" (func))
           (import "wasi_snapshot_preview2" "fd_write" (func))
           (import "other" "memory" (memory 1))"#,
    )
    .replace(
        r#"(memory (export "memory") 1)"#,
        r#"(export "memory" (memory 0))"#,
    );
    let error = Program::compile(&engine, unknown.as_bytes()).err().unwrap();
    assert_eq!(
        error.to_string(),
        "imports env.proxy_teleport, wasi_snapshot_preview2.fd_write, other.memory, \
         which this host does not provide"
    );
}

/// Calls every import but those that trap on purpose, all arguments being the same.
fn storm() -> String {
    let mut body = String::new();
    for (name, params, result) in ENV.iter().chain(WASI) {
        if matches!(*name, "abort" | "proc_exit") {
            continue;
        }
        let arguments: String = params
            .chars()
            .map(|c| match c {
                'L' => "(i64.extend_i32_s (local.get $v))",
                _ => "(local.get $v)",
            })
            .collect();
        body += &match *result {
            "" => format!("(call ${name} {arguments})\n"),
            _ => format!("(drop (call ${name} {arguments}))\n"),
        };
    }
    format!(
        "(func $storm (param $v i32) {body})
         (func $storms {})",
        [
            0,
            1,
            2,
            6,
            7,
            16,
            1024,
            32768,
            65535,
            65536,
            i32::MAX,
            i32::MIN,
            -1,
            -2,
            -4,
            -8
        ]
        .map(|v| format!("(call $storm (i32.const {v}))\n"))
        .concat()
    )
}

#[test]
fn nonsense_never_traps() {
    let storms = "(call $storms)";
    for version in ["0_1_0", "0_2_0", "0_2_1"] {
        let guest = Guest::new()
            .abi(version)
            .with(&storm())
            // With a start section, even before the instance is there.
            .with("(func $start (call $storms)) (start $start)")
            .with(r#"(func (export "_initialize") (call $storms))"#)
            .callback("on_context_create", 2, false, storms)
            .callback("on_vm_start", 2, true, &format!("{storms} #1"))
            .callback("on_configure", 2, true, &format!("{storms} #1"))
            .callback("on_done", 1, true, &format!("{storms} #1"))
            .callback("on_log", 1, false, storms)
            .callback("on_delete", 1, false, storms)
            .request_headers(storms);
        let mut host = Host::start(&guest.wat());
        let stream = MockStream::default()
            .map(MapType::RequestHeaders, &[("a", "b")])
            .map(MapType::ResponseHeaders, &[])
            .buffer(BufferType::RequestBody, b"body")
            .buffer(BufferType::ResponseBody, b"");
        let id = host.stream(&stream);
        host.vm.on_request_headers(id, 1, true).unwrap();
        host.vm.finish(id, true).unwrap();
        host.vm.shutdown();
        assert!(!host.vm.poisoned());
    }
}

#[test]
fn abort_traps_with_its_message() {
    // AssemblyScript's strings: UTF-16 after a length in bytes.
    let guest = Guest::new().with(
        r#"(data (i32.const 512) "\0a\00\00\00h\00i\00\0a\00\3d\d8\00\de" "\08\00\00\00a\00.\00t\00s\00")
           (func $f (export "_initialize")
               (call $abort #516 #530 #3 #14))"#,
    );
    let error = try_start(&guest.wat(), &MockProxy::default())
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "_initialize trapped: abort: hi 😀 at a.ts:3:14 in f"
    );
    for at in ["#0", "#3", "#-1", "#65535", "#65536"] {
        let guest = Guest::new().with(&format!(
            r#"(func $f (export "_initialize") (call $abort {at} {at} #1 #2))"#
        ));
        let error = try_start(&guest.wat(), &MockProxy::default());
        let error = error.err().unwrap().to_string();
        assert!(error.contains("abort: "), "{error}");
    }
}

#[test]
fn statuses_helper_reads_two_digits() {
    // The other tests rely on it.
    let log = vec!["=<".to_owned(), "x".to_owned(), "=0".to_owned()];
    assert_eq!(statuses(log), (vec![12, 0], vec!["x".to_owned()]));
}
