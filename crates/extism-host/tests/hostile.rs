//! Guests that mean harm, or nonsense.

use std::time::Duration;

use crate::common::guest::function;
use crate::common::{Host, guest, manifest};
use extism_host::{Limits, PluginConfig};

/// A loop of so many times.
fn times(count: u32, body: &str) -> String {
    format!(
        "(local.set $i (i32.const 0)) (loop $on {body}
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $on (i32.lt_u (local.get $i) (i32.const {count}))))"
    )
}

#[test]
fn blocks_without_end_come_to_the_limit() {
    let config = PluginConfig {
        limits: Limits {
            memory: 8 << 20,
            cpu_time: Duration::from_secs(20),
            ..Limits::default()
        },
        ..PluginConfig::default()
    };
    let body = "(local $n i64) (block $end (loop $on
        (br_if $end (i64.eqz (call $alloc (i64.const 1))))
        (local.set $n (i64.add (local.get $n) (i64.const 1))) (br $on)))
        (call $note (local.get $n)) (call $reset) (call $notes)";
    let mut host = Host::of(&manifest(&guest(&function("f", body))), config);
    let first = host.numbers("f", b"");
    assert!(first[0] > 400_000 && first[0] < 520_000, "{first:?}");
    assert_eq!(host.numbers("f", b""), first, "and again");
}

#[test]
fn results_that_are_freed_take_no_more_memory() {
    let mut manifest = manifest(&guest(&function(
        "f",
        &format!(
            "(local $i i32) (local $a i64) {} (call $note (call $memory_bytes)) (call $notes)",
            times(
                100_000,
                "(local.set $a (call $config_get (call $text (i32.const 16) (i32.const 3))))
                 (call $free (local.get $a)) (call $free (local.get $a))"
            )
        ),
    )));
    manifest.config.insert("\0\0\0".into(), "x".repeat(1000));
    let mut host = Host::of(&manifest, PluginConfig::default());
    assert!(host.numbers("f", b"")[0] <= 65_536);
}

#[test]
fn everything_is_freed_twice() {
    let body = "(local $i i32) (local $a i64) (local $b i64) (local $c i64)
        (local.set $a (call $alloc (i64.const 40))) (local.set $b (call $alloc (i64.const 40))) (local.set $c (call $alloc (i64.const 40)))
        (call $output_set (local.get $a) (i64.const 40)) (call $error_set (local.get $b))
        (call $free (local.get $b)) (call $free (local.get $b)) (call $free (local.get $a)) (call $free (local.get $a))
        (call $free (call $input_offset)) (call $free (call $input_offset))
        (local.set $a (call $alloc (i64.const 40))) (local.set $b (call $alloc (i64.const 40)))
        (call $note (i64.extend_i32_u (i64.eq (local.get $a) (local.get $b))))
        (call $note (call $length (local.get $c))) (call $note (call $length (call $error_get)))
        (call $error_set (i64.const 0)) (call $notes)";
    let mut host = Host::new(&guest(&function("f", body)));
    for _ in 0..3 {
        assert_eq!(host.numbers("f", b"input"), [0, 40, 40]);
    }
}

#[test]
fn an_output_that_was_freed_is_still_within_the_memory() {
    let body = "(local $a i64) (local.set $a (call $alloc (i64.const 100000)))
        (call $output_set (local.get $a) (i64.const 100000)) (call $free (local.get $a))
        (drop (call $alloc (i64.const 10)))";
    let mut host = Host::new(&guest(&function("f", body)));
    assert_eq!(host.output("f", b"").len(), 100_000);
}

#[test]
fn every_number_as_every_argument() {
    let numbers = [
        "0",
        "1",
        "8",
        "63",
        "64",
        "65",
        "72",
        "100",
        "65536",
        "4294967295",
        "4294967296",
        "-1",
        "-8",
        "-9223372036854775808",
    ];
    let mut body = String::new();
    for a in numbers {
        for b in numbers {
            body += &format!(
                "(call $free (i64.const {a})) (drop (call $length (i64.const {a}))) (drop (call $load_u64 (i64.const {a})))
                 (drop (call $load_u8 (i64.const {a}))) (call $store_u64 (i64.const {a}) (i64.const {b})) (call $store_u8 (i64.const {a}) (i32.const 1))
                 (call $output_set (i64.const {a}) (i64.const {b})) (call $input_set (i64.const {a}) (i64.const {b}))
                 (call $error_set (i64.const {a})) (drop (call $input_load_u64 (i64.const {b}))) (drop (call $input_load_u8 (i64.const {b})))"
            );
        }
        // Few of them are so large that they fill the memory.
        body += &format!("(drop (call $alloc (i64.const {a})))");
    }
    body += "(call $error_set (i64.const 0))";
    let mut host = Host::new(&guest(&function("f", &body)));
    for input in [&b""[..], b"x", &[0xff; 100]] {
        let came = host.call("f", input);
        assert_eq!((came.code, came.failure), (0, None));
    }
}

#[test]
fn traps_between_calls_leave_others_alone() {
    let mut host = Host::new(&guest(
        &(function("ok", "(call $note (call $input_length)) (call $notes)")
            + &function("trap", "(unreachable)")
            + &function(
                "loop",
                "(call $error_set (call $alloc (i64.const 9))) (unreachable)",
            )),
    ));
    for _ in 0..200 {
        assert_eq!(host.numbers("ok", b"123"), [3]);
        assert_eq!(host.call("trap", b"").code, 134);
        assert_eq!(host.call("ok", b"").code, -1);
        host.renew();
        assert_eq!(host.call("loop", b"").code, -1);
        host.renew();
    }
}

#[test]
fn recursion_comes_to_the_limit_of_the_stack() {
    let endless = "(func $endless (param $n i64) (result i64)
        (i64.add (call $endless (i64.add (local.get $n) (i64.const 1))) (call $alloc (i64.const 1))))";
    let wat = guest(&(endless.to_owned() + &function("f", "(drop (call $endless (i64.const 0)))")));
    let mut host = Host::new(&wat);
    let (code, reason) = host.failure("f");
    assert_eq!(code, 134);
    assert!(reason.contains("stack=512k"), "{reason}");
}
