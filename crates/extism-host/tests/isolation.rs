//! Instances that start with the state of another one.

use crate::common::guest::{function, texts};
use crate::common::{Host, Mock, Task, call, compile, guest, manifest};
use extism_host::{Engine, Manifest, PluginConfig, Program};

/// Counts in a global, in a memory that is not exported, and in a var; starts each at 5.
fn plugin() -> Manifest {
    let (data, [key]) = texts(["key"]);
    let count = format!(
        "(local $var i64)
         (global.set $count (i64.add (global.get $count) (i64.const 1)))
         (i64.store (i32.const 64) (i64.add (i64.load (i32.const 64)) (i64.const 1)))
         (local.set $var (call $var_get (call $text {key})))
         (call $note (global.get $count)) (call $note (i64.load (i32.const 64)))
         (call $note (i64.extend_i32_u (call $load_u8 (local.get $var))))
         (call $store_u8 (local.get $var) (i32.add (i32.const 1) (call $load_u8 (local.get $var))))
         (call $var_set (call $text {key}) (local.get $var))
         (call $note (i64.extend_i32_u (memory.size)))
         (drop (memory.grow (i32.const 1))) (call $notes)"
    );
    let fields = [
        data,
        "(data (i32.const 64) \"\\05\") (global $count (mut i64) (i64.const 5))".into(),
        format!(
            "(func (export \"_initialize\")
               (call $var_set (call $text {key}) (call $text (i32.const 64) (i32.const 1)))
               (i64.store (i32.const 64) (i64.const 7)))"
        ),
        function("count", &count),
        function("trap", "(unreachable)"),
    ];
    manifest(&guest(&fields.concat()))
}

fn host() -> Host {
    Host::with(&plugin(), PluginConfig::default(), true)
}

fn numbers(output: &[u8]) -> Vec<u64> {
    output
        .chunks(8)
        .map(|n| u64::from_le_bytes(n.try_into().unwrap()))
        .collect()
}

#[test]
fn each_instance_starts_from_the_snapshot() {
    let mut host = host();
    host.plugin.start_now().unwrap();
    let snapshot = host.plugin.snapshot().unwrap();
    assert_eq!(host.numbers("count", b""), [6, 8, 5, 2]);
    assert_eq!(host.numbers("count", b""), [7, 9, 6, 3]);
    for _ in 0..3 {
        let mut plugin = snapshot.plugin(host.mock.clone()).unwrap();
        assert_eq!(
            numbers(&call(&mut plugin, "count", b"").output),
            [6, 8, 5, 2]
        );
        assert_eq!(
            numbers(&call(&mut plugin, "count", b"").output),
            [7, 9, 6, 3]
        );
    }
}

#[test]
fn an_instance_is_taken_back() {
    let mut host = host();
    host.plugin.start_now().unwrap();
    let snapshot = host.plugin.snapshot().unwrap();
    let mut plugin = snapshot.plugin(host.mock.clone()).unwrap();
    for _ in 0..1000 {
        assert_eq!(
            numbers(&call(&mut plugin, "count", b"secret").output),
            [6, 8, 5, 2]
        );
        assert!(snapshot.rewind(&mut plugin, Mock::default()));
    }
    assert_eq!(
        numbers(&call(&mut plugin, "count", b"").output),
        [6, 8, 5, 2]
    );
    assert_eq!(call(&mut plugin, "trap", b"").code, 134);
    assert!(
        !snapshot.rewind(&mut plugin, host.mock.clone()),
        "not after a trap"
    );
    let mut other = host.linked.plugin(host.mock.clone());
    assert!(
        !snapshot.rewind(&mut other, host.mock.clone()),
        "not one of its own"
    );
}

#[test]
fn a_snapshot_has_what_calls_have_left() {
    let mut host = host();
    assert!(host.plugin.snapshot().is_err(), "not before the start");
    host.output("count", b"");
    let snapshot = host.plugin.snapshot().unwrap();
    let mut plugin = snapshot.plugin(host.mock.clone()).unwrap();
    assert_eq!(
        numbers(&call(&mut plugin, "count", b"").output),
        [7, 9, 6, 3]
    );
    assert!(snapshot.rewind(&mut plugin, host.mock.clone()));
    assert_eq!(
        numbers(&call(&mut plugin, "count", b"").output),
        [7, 9, 6, 3]
    );
}

#[test]
fn the_growth_of_each_is_bounded() {
    let mut manifest = plugin();
    manifest.max_pages = Some(2);
    let mut host = Host::with(&manifest, PluginConfig::default(), true);
    host.plugin.start_now().unwrap();
    let snapshot = host.plugin.snapshot().unwrap();
    let mut plugin = snapshot.plugin(host.mock.clone()).unwrap();
    for _ in 0..3 {
        for code in [0, 0, -1] {
            assert_eq!(call(&mut plugin, "count", b"").code, code);
        }
        plugin = snapshot.plugin(host.mock.clone()).unwrap();
    }
    for _ in 0..10 {
        assert_eq!(call(&mut plugin, "count", b"").code, 0);
        assert!(snapshot.rewind(&mut plugin, host.mock.clone()));
    }
}

#[test]
fn guests_that_wait_are_taken_back_too() {
    let (data, [url]) = texts([r#"{"url":"http://a.test/"}"#]);
    let fields = [
        data,
        "(global $count (mut i64) (i64.const 0))".into(),
        function(
            "f",
            &format!(
                "(global.set $count (i64.add (global.get $count) (i64.const 1))) (call $note (global.get $count))
                 (call $note32 (call $http_status_code))
                 (drop (call $http_request (call $text {url}) (i64.const 0))) (call $notes)"
            ),
        ),
    ];
    let mut manifest = manifest(&guest(&fields.concat()));
    manifest.allow_host("a.test").unwrap();
    let mut host = Host::with(&manifest, PluginConfig::default(), true);
    host.plugin.start_now().unwrap();
    let snapshot = host.plugin.snapshot().unwrap();
    let f = host.linked.program().function("f").unwrap();
    let mut plugin = snapshot.plugin(host.mock.clone()).unwrap();
    for _ in 0..3 {
        let mut task = Task::new(async {
            let mut outcome = plugin.call(f, &b""[..]).await;
            numbers(outcome.output())
        });
        assert!(task.poll().is_pending());
        host.mock.respond_with(200, b"");
        assert_eq!(task.poll(), std::task::Poll::Ready(vec![1, 0]));
        drop(task);
        assert!(snapshot.rewind(&mut plugin, host.mock.clone()));
    }
    let mut task = Task::new(async { plugin.call(f, &b""[..]).await.code() });
    assert!(task.poll().is_pending());
    drop(task);
    assert!(
        !snapshot.rewind(&mut plugin, host.mock.clone()),
        "not out of a call"
    );
}

#[test]
fn modules_are_all_taken_back() {
    use base64::Engine as _;
    let encode = |wat: &str| base64::engine::general_purpose::STANDARD.encode(wat);
    let lib = r#"(module (memory 1) (global $n (mut i32) (i32.const 1))
        (func (export "next") (result i32)
          (global.set $n (i32.add (global.get $n) (i32.const 1)))
          (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 10)))
          (i32.add (global.get $n) (i32.load (i32.const 0)))))"#;
    let main = r#"(module (import "lib" "next" (func $next (result i32))) (memory 1)
        (func (export "f") (result i32) (call $next)))"#;
    let json = format!(
        r#"{{"wasm":[{{"name":"lib","data":"{}"}},{{"data":"{}"}}]}}"#,
        encode(lib),
        encode(main)
    );
    let manifest = Manifest::parse(json.as_bytes()).unwrap();
    let mut host = Host::with(&manifest, PluginConfig::default(), true);
    host.plugin.start_now().unwrap();
    let snapshot = host.plugin.snapshot().unwrap();
    let mut plugin = snapshot.plugin(host.mock.clone()).unwrap();
    for _ in 0..3 {
        assert_eq!(call(&mut plugin, "f", b"").code, 12);
        assert_eq!(call(&mut plugin, "f", b"").code, 23);
        assert!(snapshot.rewind(&mut plugin, host.mock.clone()));
    }
}

#[test]
fn what_cannot_be_taken_back_is_refused() {
    let refused = |wat: &str| {
        let engine = Engine::new().unwrap();
        let program = Program::compile(&engine, &manifest(wat), true, |path| std::fs::read(path));
        program.err().unwrap().to_string()
    };
    let tables = r#"(module (table 1 funcref) (func (export "f") (table.set (i32.const 0) (ref.null func))))"#;
    assert_eq!(
        refused(tables),
        "cannot have an instance for each request: the module has the instruction table.set"
    );
    assert!(compile(&manifest(tables)).is_ok());
    assert_eq!(
        refused(r#"(module (import "lib" "memory" (memory 1)) (func (export "f")))"#),
        "cannot have an instance for each request: the module has an import that is no function"
    );
}

#[test]
fn an_instance_that_had_a_large_call_is_not_taken_back() {
    let mut host = host();
    host.plugin.start_now().unwrap();
    let snapshot = host.plugin.snapshot().unwrap();
    let mut plugin = snapshot.plugin(host.mock.clone()).unwrap();
    assert_eq!(call(&mut plugin, "count", &[0; 1 << 20]).code, 0);
    assert!(snapshot.rewind(&mut plugin, host.mock.clone()));
    assert_eq!(call(&mut plugin, "count", &[0; 8 << 20]).code, 0);
    assert!(!snapshot.rewind(&mut plugin, host.mock.clone()));
}
