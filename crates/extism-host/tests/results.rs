//! What a call comes to: the rows of the table of results in docs/extism.md.

use std::time::{Duration, Instant};

use crate::common::guest::{function, texts};
use crate::common::{Host, guest, manifest};
use extism_host::{Failure, Limits, PluginConfig};

const WASI_EXIT: &str = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;

/// A counter, a text "out" at 16, "wrong" at 19.
fn plugin(fields: &str) -> String {
    let (data, _) = texts(["out", "wrong"]);
    guest(&format!(
        "{data} (global $count (mut i32) (i32.const 0))
         (func (export \"count\") (result i32)
           (global.set $count (i32.add (global.get $count) (i32.const 1)))
           (call $note32 (global.get $count)) (call $notes) (i32.const 0))
         {fields}"
    ))
}

const SAY: &str = "(call $say (i32.const 16) (i32.const 3))";
const FAIL: &str = "(call $fail (i32.const 19) (i32.const 5))";

#[test]
fn zero_is_success() {
    let mut host = Host::new(&plugin(&function("f", SAY)));
    assert_eq!(host.output("f", b""), b"out");
    assert_eq!(host.plugin.linked().program().functions().count(), 2);
}

#[test]
fn a_code_other_than_zero_fails_and_the_output_can_be_read() {
    let mut host = Host::new(&plugin(&format!(
        "(func (export \"f\") (result i32) {SAY} (i32.const 7))"
    )));
    let came = host.call("f", b"");
    assert_eq!((came.code, came.failure), (7, None));
    assert_eq!(came.output, b"out");
    assert!(!host.plugin.poisoned());
}

#[test]
fn an_error_fails_whatever_the_code() {
    let mut host = Host::new(&plugin(&format!(
        "(func (export \"zero\") (result i32) {FAIL} {SAY} (i32.const 0))
         (func (export \"three\") (result i32) {FAIL} (i32.const 3))
         (func (export \"none\") {FAIL})"
    )));
    for (function, code, output) in [
        ("zero", 0, &b"out"[..]),
        ("three", 3, b""),
        ("none", 0, b""),
    ] {
        let came = host.call(function, b"");
        assert_eq!(came.code, code, "{function}");
        assert_eq!(came.failure.unwrap().to_string(), "wrong");
        assert_eq!(came.output, output);
        assert!(!host.plugin.poisoned());
    }
    assert_eq!(
        host.output("count", b""),
        1u64.to_le_bytes(),
        "the next call has no error"
    );
}

#[test]
fn no_result_is_zero() {
    let mut host = Host::new(&plugin(&format!("(func (export \"f\") {SAY})")));
    assert_eq!(host.output("f", b""), b"out");
}

#[test]
fn functions_of_other_types_cannot_be_called() {
    let mut host = Host::new(&plugin(
        "(func (export \"long\") (result i64) (i64.const 0))
         (func (export \"parameter\") (param i32) (result i32) (i32.const 0))
         (func (export \"two\") (result i32 i32) (i32.const 0) (i32.const 0))
         (global (export \"global\") i32 (i32.const 0))",
    ));
    for (function, ty) in [
        ("long", "() -> i64"),
        ("parameter", "(i32) -> i32"),
        ("two", "() -> (i32, i32)"),
        ("global", "something that is no function"),
    ] {
        let expected = format!(
            "{function} is of the type {ty}, and cannot be called: only () -> i32 and () -> () can"
        );
        assert_eq!(host.failure(function), (-1, expected));
    }
    assert_eq!(host.failure("x\n"), (-1, "Function not found: x\\n".into()));
    assert_eq!(host.numbers("count", b""), [1]);
}

#[test]
fn a_trap_is_134_and_ends_the_instance() {
    let mut host = Host::new(&plugin(&function("f", &format!("{SAY} (unreachable)"))));
    assert_eq!(host.numbers("count", b""), [1]);
    let came = host.call("f", b"");
    assert_eq!(came.code, 134);
    let Some(Failure::Trap(reason)) = came.failure else {
        panic!("{:?}", came.failure)
    };
    assert!(reason.contains("unreachable"), "{reason}");
    assert!(host.plugin.poisoned());
    assert_eq!(
        host.failure("count"),
        (-1, "not called after an earlier trap".into())
    );
    host.renew();
    assert_eq!(host.numbers("count", b""), [1]);
}

#[test]
fn an_error_before_a_trap_is_told() {
    let mut host = Host::new(&plugin(&function("f", &format!("{FAIL} (unreachable)"))));
    let came = host.call("f", b"");
    assert_eq!(came.code, -1);
    match came.failure {
        Some(Failure::Message { message, trap }) => {
            assert_eq!(message, "wrong");
            assert!(trap.unwrap().contains("unreachable"));
        }
        other => panic!("{other:?}"),
    }
    assert!(host.plugin.poisoned());
}

#[test]
fn too_much_processor_time_is_a_timeout() {
    let config = PluginConfig {
        limits: Limits {
            cpu_time: Duration::from_millis(30),
            ..Limits::default()
        },
        ..PluginConfig::default()
    };
    let mut host = Host::of(&manifest(&plugin(&function("f", "(call $spin)"))), config);
    let (code, reason) = host.failure("f");
    assert_eq!(code, 134);
    assert_eq!(reason, "timeout: over cpu_time=30ms in spin < function 14");
}

#[test]
fn the_manifests_timeout_is_of_each_call() {
    let mut manifest = manifest(&plugin(&function("f", "(call $spin)")));
    manifest.timeout = Some(Duration::from_millis(40));
    let mut host = Host::of(&manifest, PluginConfig::default());
    let mut other = host.linked.plugin(host.mock.clone());
    for _ in 0..3 {
        host.renew();
        let started = Instant::now();
        let (code, reason) = host.failure("f");
        assert!(started.elapsed() >= Duration::from_millis(40));
        assert_eq!(code, 134);
        assert!(
            reason.starts_with("timeout: over timeout=40ms in spin"),
            "{reason}"
        );
        let came = crate::common::call(&mut other, "count", b"");
        assert_eq!(came.code, 0, "what another instance does is its own");
    }
}

#[test]
fn memory_beyond_the_manifests_is_oom() {
    let grow = "(drop (memory.grow (i32.const 2)))";
    let mut manifest = manifest(&plugin(
        &(function("f", grow) + &function("two", &grow.repeat(2))),
    ));
    manifest.max_pages = Some(2);
    let mut host = Host::of(&manifest, PluginConfig::default());
    assert_eq!(host.call("f", b"").code, 0);
    let (code, reason) = host.failure("two");
    assert_eq!(code, -1);
    assert!(reason.starts_with("oom in "), "{reason}");
    assert!(host.plugin.poisoned());
    // The kernel's memory is of the same budget.
    host.renew();
    let came = host.call("count", &[b'x'; 200_000]);
    assert_eq!(came.failure, Some(Failure::InputSize(200_000)));
    assert_eq!(host.numbers("count", &[b'x'; 100_000]), [1]);
    assert_eq!(host.call("f", b"").code, -1, "1 page is left");
}

#[test]
fn a_guest_that_needs_more_than_the_manifest_allows_does_not_start() {
    let mut manifest = manifest(&plugin(""));
    manifest.max_pages = Some(1);
    let mut host = Host::of(&manifest, PluginConfig::default());
    let (code, reason) = host.failure("count");
    assert_eq!(code, -1);
    assert!(reason.contains("cannot be instantiated: oom"), "{reason}");
    manifest.max_pages = Some(2);
    assert_eq!(
        Host::of(&manifest, PluginConfig::default())
            .call("count", b"")
            .code,
        0
    );
}

#[test]
fn memory_beyond_the_limit_is_refused_to_the_guest() {
    let config = PluginConfig {
        limits: Limits {
            memory: 4 << 20,
            ..Limits::default()
        },
        ..PluginConfig::default()
    };
    let all = "(call $note (i64.extend_i32_s (memory.grow (i32.const 40))))
        (call $note (call $alloc (i64.const 1000000)))
        (call $note (i64.extend_i32_s (memory.grow (i32.const 50)))) (call $notes)";
    let mut host = Host::of(&manifest(&plugin(&function("f", all))), config);
    let numbers = host.numbers("f", b"");
    assert_eq!(numbers[0], 2);
    assert_ne!(numbers[1], 0);
    assert_eq!(numbers[2], u64::MAX, "all memories together");
    let came = host.call("f", &vec![0; 4 << 20]);
    assert_eq!(came.failure, Some(Failure::InputSize(4 << 20)));
    assert!(!host.plugin.poisoned());
}

#[test]
fn proc_exit_ends_the_instance_with_its_code() {
    let exit = |code| {
        format!(
            "(module {WASI_EXIT} (memory (export \"memory\") 1)
             (func (export \"_start\") (call $exit (i32.const {code}))))"
        )
    };
    let mut host = Host::new(&exit(0));
    assert_eq!(host.output("_start", b""), b"");
    assert!(host.plugin.poisoned());
    let mut host = Host::new(&exit(5));
    assert_eq!(
        host.failure("_start"),
        (5, "the guest has exited with code 5".into())
    );
}

#[test]
fn behind_start_everything_is_new() {
    let mut host = Host::new(&plugin(
        "(func (export \"_start\") (global.set $count (i32.const 7)))",
    ));
    assert_eq!(host.output("_start", b""), b"");
    assert!(host.plugin.poisoned());
}

#[test]
fn the_error_is_the_block_that_begins_there() {
    let mut host = Host::new(&plugin(&format!(
        "{} {} {}",
        function(
            "inner",
            "(call $error_set (i64.add (i64.const 1) (call $text (i32.const 16) (i32.const 3))))"
        ),
        function(
            "cleared",
            &format!("{FAIL} (call $error_set (i64.const 0))")
        ),
        function("freed", &format!("{FAIL} (call $free (call $error_get))")),
    )));
    for function in ["inner", "cleared", "freed"] {
        let came = host.call(function, b"");
        assert_eq!((came.code, came.failure), (0, None), "{function}");
    }
}

#[test]
fn an_error_that_is_not_utf8_is_told_all_the_same() {
    let mut host = Host::new(&plugin(
        "(data (i32.const 100) \"a\\ffb\") (func (export \"f\") (call $fail (i32.const 100) (i32.const 3)))",
    ));
    assert_eq!(host.failure("f"), (0, "a\u{fffd}b".into()));
}

#[test]
fn the_one_function_is_found() {
    for (fields, expected) in [
        (function("f", ""), Some("f")),
        (
            function("f", "") + "(func (export \"_initialize\")) (func (export \"init\"))",
            Some("f"),
        ),
        (function("f", "") + &function("g", ""), None),
        (
            "(func (export \"f\")) (func (export \"_start\"))".into(),
            Some("f"),
        ),
        ("(func (export \"f\")) (func (export \"g\"))".into(), None),
        ("(func (export \"_start\"))".into(), None),
    ] {
        let host = Host::new(&format!("(module {fields})"));
        let program = host.linked.program();
        assert_eq!(
            program.only_function(),
            expected.map(|name| program.function(name).unwrap())
        );
    }
}
