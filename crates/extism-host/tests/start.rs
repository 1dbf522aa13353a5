//! The start of an instance, WASI, and plugins of several modules.

use std::time::Duration;

use crate::common::guest::function;
use crate::common::{Host, compile, guest, manifest};
use extism_host::{Limits, LogLevel, Manifest, PluginConfig};

/// Notes the order of what is called in a number: each adds a digit.
fn steps(fields: &str) -> String {
    let all = format!(
        "(global $steps (mut i64) (i64.const 0))
         (func $step (param $n i64)
           (global.set $steps (i64.add (i64.mul (global.get $steps) (i64.const 10)) (local.get $n))))
         {fields} {}",
        function("steps", "(call $note (global.get $steps)) (call $notes)")
    );
    guest(&all)
}

const INITIALIZE: &str = "(func (export \"_initialize\") (call $step (i64.const 1)))";
const CTORS: &str = "(func (export \"__wasm_call_ctors\") (call $step (i64.const 2)))";
const HS: &str = "(func (export \"hs_init\") (param i32 i32) (call $step (i64.add (i64.const 3) (i64.extend_i32_u (i32.add (local.get 0) (local.get 1))))))";
const START: &str = "(func (export \"_start\") (call $step (i64.const 4)))";
const SECTION: &str = "(func $section (call $step (i64.const 5))) (start $section)";

#[test]
fn initialization_has_its_order_and_is_done_once() {
    for (fields, expected) in [
        (vec![], 0),
        (vec![INITIALIZE], 1),
        (vec![INITIALIZE, CTORS], 2),
        (vec![INITIALIZE, CTORS, HS], 13),
        (vec![HS], 3),
        (vec![START], 0),
        (vec![START, INITIALIZE, SECTION], 51),
        (
            vec!["(func (export \"_initialize\") (param i32) (call $step (i64.const 6)))"],
            0,
        ),
        (
            vec![
                "(func (export \"__wasm_call_ctors\") (param i32))",
                INITIALIZE,
            ],
            0,
        ),
    ] {
        let mut host = Host::new(&steps(&fields.concat()));
        for _ in 0..2 {
            assert_eq!(host.numbers("steps", b""), [expected], "{fields:?}");
        }
        host.renew();
        host.plugin.start_now().unwrap();
        host.plugin.start_now().unwrap();
        assert_eq!(host.numbers("steps", b""), [expected]);
    }
}

#[test]
fn a_start_that_traps_fails_each_call() {
    for (fields, expected) in [
        (
            "(func (export \"_initialize\") (unreachable))",
            "_initialize trapped: ",
        ),
        (
            "(func $section (unreachable)) (start $section)",
            "cannot be instantiated: ",
        ),
        (
            "(data (i32.const 131070) \"abcd\")",
            "cannot be instantiated: ",
        ),
    ] {
        let mut host = Host::new(&steps(fields));
        let (code, reason) = host.failure("steps");
        assert_eq!(code, -1);
        assert!(reason.starts_with(expected), "{reason}");
        assert!(host.plugin.poisoned());
        assert_eq!(host.failure("steps").1, "not called after an earlier trap");
    }
}

#[test]
fn a_start_has_its_own_time() {
    let config = PluginConfig {
        limits: Limits {
            start_time: Duration::from_millis(30),
            ..Limits::default()
        },
        ..PluginConfig::default()
    };
    let mut manifest = manifest(&steps("(func (export \"_initialize\") (call $spin))"));
    manifest.timeout = Some(Duration::from_millis(1));
    let mut host = Host::of(&manifest, config);
    let (_, reason) = host.failure("steps");
    assert!(reason.contains("over start_time=30ms"), "{reason}");
}

#[test]
fn the_timeout_does_not_cover_the_start() {
    let work = "(func (export \"_initialize\") (local $i i64) (loop $on
        (local.set $i (i64.add (local.get $i) (i64.const 1)))
        (br_if $on (i64.lt_u (local.get $i) (i64.const 100000000)))))";
    let mut manifest = manifest(&steps(work));
    manifest.timeout = Some(Duration::from_millis(20));
    let mut host = Host::of(&manifest, PluginConfig::default());
    host.plugin.start_now().unwrap();
    // A call that takes less than that, on a machine of any load.
    let came = host.call("steps", b"");
    assert!(came.code == 0 || came.code == 134);
}

#[test]
fn wasi_is_there() {
    let wat = r#"(module
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "\10\00\00\00\0b\00\00\00") (data (i32.const 16) "first\nrest!")
      (func (export "f") (result i32)
        (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
        (i32.or (call $sizes (i32.const 8) (i32.const 12)))
        (i32.or (i32.ne (i32.load (i32.const 8)) (i32.const 1)))))"#;
    let config = PluginConfig {
        env: vec![(b"NAME".to_vec(), b"value".to_vec())],
        ..PluginConfig::default()
    };
    let mut host = Host::of(&manifest(wat), config);
    host.mock.log_from(LogLevel::Info);
    assert_eq!(host.output("f", b""), b"");
    let line = |text: &str| (LogLevel::Info, text.to_owned());
    assert_eq!(
        host.mock.lines(),
        [line("first"), line("rest!")],
        "the rest with the call's end"
    );
}

/// A manifest of modules by their names.
fn modules<const N: usize>(modules: [(&str, &str); N]) -> Manifest {
    try_modules(modules).unwrap()
}

fn try_modules<const N: usize>(
    modules: [(&str, &str); N],
) -> Result<Manifest, extism_host::ManifestError> {
    use base64::Engine as _;
    let encode = |wat: &str| base64::engine::general_purpose::STANDARD.encode(wat);
    let wasm: Vec<_> = modules
        .iter()
        .map(|(name, wat)| match *name {
            "" => serde_json::json!({ "data": encode(wat) }),
            name => serde_json::json!({ "name": name, "data": encode(wat) }),
        })
        .collect();
    let json = serde_json::json!({ "wasm": wasm });
    Manifest::parse(json.to_string().as_bytes())
}

const LIB: &str = r#"(module
    (import "extism:host/env" "input_length" (func $input_length (result i64)))
    (memory 1) (global $init (mut i64) (i64.const 0))
    (func (export "_initialize") (global.set $init (i64.const 100)))
    (func (export "size") (result i64) (i64.add (global.get $init) (call $input_length))))"#;

fn main_module() -> String {
    let imports = "(import \"lib\" \"size\" (func $size (result i64)))";
    let wat = guest(&function("f", "(call $note (call $size)) (call $notes)"));
    wat.replacen("(module", &format!("(module {imports}"), 1)
}

#[test]
fn modules_are_linked_by_their_names() {
    let main = main_module();
    for manifest in [
        modules([("lib", LIB), ("main", &main)]),
        modules([("main", &main), ("lib", LIB)]),
        modules([("lib", LIB), ("", &main)]),
        modules([("lib", LIB), ("last", &main)]),
        modules([("", &main), ("lib", LIB)]),
    ] {
        let mut host = Host::of(&manifest, PluginConfig::default());
        assert_eq!(host.numbers("f", b"input"), [105]);
        assert!(
            host.linked.program().functions().eq(["f"]),
            "of the main module alone"
        );
    }
}

#[test]
fn one_module_is_the_main_one_whatever_its_name() {
    let main = guest(&function("f", ""));
    let mut host = Host::of(&modules([("other", &main)]), PluginConfig::default());
    assert_eq!(host.output("f", b""), b"");
}

#[test]
fn modules_that_do_not_fit_together() {
    let error = |manifest: Manifest| compile(&manifest).err().unwrap().to_string();
    let main = main_module();
    assert_eq!(
        error(modules([("lib", "(module)"), ("main", &main)])),
        "module main: imports lib.size, which that module does not export"
    );
    assert_eq!(
        error(modules([("other", LIB), ("main", &main)])),
        "module main: imports lib.size, which this host does not provide"
    );
    assert_eq!(
        error(modules([
            ("lib", r#"(module (func (export "size")))"#),
            ("main", &main)
        ])),
        "module main: imports lib.size as () -> i64, but this host provides it as () -> ()"
    );
    let a = r#"(module (import "b" "f" (func)) (func (export "f")))"#;
    let b = r#"(module (import "a" "f" (func)) (func (export "f")))"#;
    assert_eq!(
        error(modules([
            ("a", a),
            ("b", b),
            ("main", r#"(module (func (export "f")))"#)
        ])),
        "the modules import each other in a circle: a, b, main"
    );
    assert_eq!(
        error(modules([("main", "(module (memory 1))")])),
        "exports no function of the type () -> i32 or () -> ()"
    );
    assert_eq!(
        error(modules([("lib", "(module"), ("main", &main)]))
            .split(" at ")
            .next(),
        Some("module lib: invalid WebAssembly text: expected `)`")
    );
    let same = try_modules([("lib", LIB), ("lib", LIB), ("main", &main)]);
    assert_eq!(
        same.unwrap_err().to_string(),
        "there are two modules of the name lib"
    );
    let env = try_modules([("extism:host/env", LIB), ("main", &main)]);
    assert_eq!(
        env.unwrap_err().to_string(),
        "a module has the name extism:host/env, which is the host's"
    );
}

#[test]
fn modules_can_share_a_memory() {
    let lib = r#"(module (memory (export "shared") 1) (data (i32.const 8) "\2a"))"#;
    let main = r#"(module (import "lib" "shared" (memory 1))
        (func (export "f") (result i32) (i32.load (i32.const 8))))"#;
    let manifest = modules([("lib", lib), ("main", main)]);
    let mut host = Host::of(&manifest, PluginConfig::default());
    assert_eq!(host.failure("f").0, 42);
}
