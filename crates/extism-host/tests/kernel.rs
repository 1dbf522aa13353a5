//! The kernel's functions, with every edge.

use crate::common::guest::{ENV, function};
use crate::common::{Host, guest};

/// The numbers that a function notes.
fn noted(body: &str, input: &[u8]) -> Vec<u64> {
    let wat = guest(&function("f", &format!("{} (call $notes)", locals(body))));
    Host::new(&wat).numbers("f", input)
}

/// With blocks `$a` and `$b` of 16 bytes each, if they are used.
fn locals(body: &str) -> String {
    format!(
        "(local $a i64) (local $b i64) (local $c i64)
         (local.set $a (call $alloc (i64.const 16))) (local.set $b (call $alloc (i64.const 16)))
         {body}"
    )
}

#[test]
fn every_function_is_there_with_its_type() {
    let mut calls = String::new();
    for (name, params, result) in ENV {
        let zeroes: String = params
            .split_whitespace()
            .map(|ty| format!("({ty}.const 0)"))
            .collect();
        let call = match *result {
            "" => format!("(call ${name} {zeroes})"),
            _ => format!("(drop (call ${name} {zeroes}))"),
        };
        // A request of nothing ends the call.
        if *name != "http_request" {
            calls += &call;
        } else {
            calls += &format!("(if (i32.const 0) (then {call}))");
        }
    }
    let mut host = Host::new(&guest(&function("f", &calls)));
    assert_eq!(host.output("f", b"input"), b"");
}

#[test]
fn the_input_is_read_within_its_bounds() {
    let body = "(call $note (call $input_length))
        (call $note32 (call $input_load_u8 (i64.const 0)))
        (call $note32 (call $input_load_u8 (i64.const 9)))
        (call $note32 (call $input_load_u8 (i64.const 10)))
        (call $note32 (call $input_load_u8 (i64.const -1)))
        (call $note (call $input_load_u64 (i64.const 0)))
        (call $note (call $input_load_u64 (i64.const 2)))
        (call $note (call $input_load_u64 (i64.const 3)))
        (call $note (call $input_load_u64 (i64.const 10)))
        (call $note (call $input_load_u64 (i64.const -1)))
        (call $note (call $input_load_u64 (i64.const -8)))
        (call $note (call $load_u64 (call $input_offset)))
        (call $note (call $length (call $input_offset)))";
    let word = |text: &[u8; 8]| u64::from_le_bytes(*text);
    assert_eq!(
        noted(body, b"0123456789"),
        [
            10,
            b'0'.into(),
            b'9'.into(),
            0,
            0,
            word(b"01234567"),
            word(b"23456789"),
            0,
            0,
            0,
            0,
            word(b"01234567"),
            10
        ]
    );
}

#[test]
fn an_empty_input_is_nowhere() {
    let body = "(call $note (call $input_offset)) (call $note (call $input_length))
        (call $note32 (call $input_load_u8 (i64.const 0))) (call $note (call $input_load_u64 (i64.const 0)))";
    assert_eq!(noted(body, b""), [0, 0, 0, 0]);
}

#[test]
fn blocks_are_known_by_where_they_begin() {
    let body = "(call $note (call $length (local.get $a)))
        (call $note (call $length_unsafe (local.get $a)))
        (call $note (call $length (i64.add (local.get $a) (i64.const 1))))
        (call $note (call $length_unsafe (i64.add (local.get $a) (i64.const 8))))
        (call $note (call $length (i64.const 0)))
        (call $note (call $length_unsafe (i64.const 0)))
        (call $note (call $length (i64.const -1)))
        (call $note (call $length (i64.const 4294967296)))
        (call $free (local.get $a))
        (call $note (call $length (local.get $a)))
        (call $free (local.get $a)) (call $free (i64.const 0)) (call $free (i64.const 3)) (call $free (i64.const -1))
        (call $free (i64.add (local.get $b) (i64.const 8)))
        (call $note (call $length (local.get $b)))
        (call $note (i64.sub (call $alloc (i64.const 16)) (local.get $a)))
        (call $note (i64.extend_i32_u (i64.eq (call $alloc (i64.const 16)) (local.get $a))))";
    assert_eq!(noted(body, b"x"), [16, 16, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0]);
}

#[test]
fn sizes_that_cannot_be_had_are_zero() {
    let mut body = String::new();
    for size in [
        "0",
        "1099511627776",
        "5368709120",
        "4294967295",
        "-1",
        "-8",
        "4294967296",
    ] {
        body += &format!("(call $note (call $alloc (i64.const {size})))");
    }
    body += "(call $note (call $length (call $alloc (i64.const 1))))";
    assert_eq!(noted(&body, b""), [0, 0, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn loads_and_stores_are_within_what_is_in_use() {
    let body = "(call $store_u64 (local.get $a) (i64.const 0x1122334455667788))
        (call $note (call $load_u64 (local.get $a)))
        (call $note (call $load_u64 (i64.add (local.get $a) (i64.const 1))))
        (call $store_u8 (local.get $a) (i32.const 0x1ff))
        (call $note32 (call $load_u8 (local.get $a)))
        (call $store_u8 (i64.const 8) (i32.const 255)) (call $store_u64 (i64.const 56) (i64.const -1))
        (call $note (call $load_u64 (i64.const 8))) (call $note32 (call $load_u8 (i64.const 63)))
        (call $note (call $load_u64 (i64.const 0))) (call $note (call $load_u64 (i64.const -1)))
        (call $note (call $load_u64 (i64.const -8))) (call $note32 (call $load_u8 (i64.const -1)))
        (call $note (call $load_u64 (i64.const 4294967296)))
        (local.set $c (i64.add (local.get $b) (i64.const 16)))
        (call $store_u64 (i64.sub (local.get $c) (i64.const 8)) (i64.const -1))
        (call $note (call $load_u64 (i64.sub (local.get $c) (i64.const 8))))
        (call $store_u64 (i64.sub (local.get $c) (i64.const 7)) (i64.const 0))
        (call $note (call $load_u64 (i64.sub (local.get $c) (i64.const 7))))
        (call $store_u8 (local.get $c) (i32.const 1)) (call $store_u8 (i64.sub (local.get $c) (i64.const 1)) (i32.const 2))
        (call $note32 (call $load_u8 (local.get $c))) (call $note32 (call $load_u8 (i64.sub (local.get $c) (i64.const 1))))
        (call $store_u64 (i64.const -1) (i64.const -1)) (call $store_u8 (i64.const -1) (i32.const -1))
        (call $free (local.get $a)) (call $note32 (call $load_u8 (local.get $a)))";
    assert_eq!(
        noted(body, b""),
        [
            0x1122334455667788,
            0x0011223344556677,
            0xff,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            u64::MAX,
            0,
            0,
            2,
            0xff
        ]
    );
}

#[test]
fn an_output_that_is_not_there_is_ignored() {
    let set = |at: &str, len: &str| {
        format!(
            "(call $output_set {at} (i64.const {len})) (call $note (call $output_length))
            (call $note (i64.sub (call $output_offset) (local.get $a)))"
        )
    };
    let a = "(local.get $a)";
    let inner = "(i64.add (local.get $a) (i64.const 2))";
    let body = [
        set(a, "8"),
        // Ignored: nowhere, too long, of a length that wraps.
        set("(i64.const 0)", "0"),
        set("(i64.const 0)", "5"),
        set("(i64.const 8)", "5"),
        set(a, "10000000"),
        set(a, "-1"),
        set("(i64.const -1)", "1"),
        set("(i64.const -16)", "32"),
        // Whatever is in use will do: within a block, over several, and none of it.
        set(inner, "5"),
        set(a, "30"),
        set(a, "0"),
        format!("(call $free {a})"),
        set(a, "3"),
    ]
    .concat();
    let expected = [8, 0].repeat(8);
    assert_eq!(
        noted(&body, b""),
        [&expected[..], &[5, 2, 30, 0, 0, 0, 3, 0]].concat()
    );
}

#[test]
fn the_input_can_be_set_to_what_is_in_use() {
    let set = |at: &str, len: &str| {
        format!(
            "(call $input_set {at} (i64.const {len})) (call $note (call $input_length))
            (call $note (i64.sub (call $input_offset) (local.get $a)))"
        )
    };
    let a = "(local.get $a)";
    let body = [
        set(a, "4"),
        set("(i64.const 0)", "4"),
        set("(i64.const 1000000000)", "4"),
        set(a, "1000000000"),
        set(a, "-1"),
        "(call $store_u8 (local.get $a) (i32.const 7)) (call $note32 (call $input_load_u8 (i64.const 0)))".into(),
    ]
    .concat();
    assert_eq!(noted(&body, b"12"), [&[4, 0].repeat(5)[..], &[7]].concat());
}

#[test]
fn the_error_is_set_and_got() {
    let set = |at: &str| {
        format!("(call $error_set {at}) (call $note (i64.sub (call $error_get) (local.get $b)))")
    };
    let body = [
        set("(local.get $b)"),
        set("(i64.add (local.get $b) (i64.const 1))"),
        set("(i64.const 8)"),
        set("(i64.const -1)"),
        set("(i64.const 99999)"),
        "(call $error_set (i64.const 0)) (call $note (call $error_get))".into(),
    ]
    .concat();
    assert_eq!(noted(&body, b""), [0, 1, 1, 1, 1, 0]);
}

#[test]
fn reset_forgets_everything() {
    let body = "(call $output_set (local.get $a) (i64.const 8)) (call $error_set (local.get $a)) (call $reset)
        (call $note (call $input_length)) (call $note (call $input_offset))
        (call $note (call $output_length)) (call $note (call $output_offset)) (call $note (call $error_get))
        (call $note (call $length (local.get $a))) (call $note (call $load_u64 (local.get $a)))
        (call $note (i64.sub (call $alloc (i64.const 1)) (local.get $a)))";
    let noted = noted(body, b"input");
    assert_eq!(noted[..7], [0; 7]);
    assert!((noted[7] as i64) < 0, "the input's place is free");
}

#[test]
fn memory_bytes_tells_how_much_there_is() {
    let body = "(call $note (call $memory_bytes)) (drop (call $alloc (i64.const 1000000))) (call $note (call $memory_bytes))";
    let mut host = Host::new(&guest(&function("f", &format!("{body} (call $notes)"))));
    for _ in 0..2 {
        // The same in each call, whatever there was before.
        assert_eq!(host.numbers("f", b""), [65_536 - 64, 16 * 65_536 - 64]);
    }
}

/// Notes offsets that an earlier call has kept, and what a new block holds.
const KEEPS: &str = r#"
    (global $kept (mut i64) (i64.const 0))
    (func (export "keep") (result i32)
      (global.set $kept (call $input_offset)) (call $output_set (global.get $kept) (i64.const 6)) (i32.const 0))
    (func (export "look") (result i32) (local $a i64)
      (call $note (call $length (global.get $kept)))
      (call $note (call $load_u64 (global.get $kept)))
      (call $note (call $output_length)) (call $note (call $error_get))
      (local.set $a (call $alloc (i64.const 64)))
      (call $note (call $load_u64 (local.get $a))) (call $note (call $load_u64 (i64.add (local.get $a) (i64.const 8))))
      (call $notes) (i32.const 0))"#;

#[test]
fn nothing_of_a_call_is_seen_in_the_next() {
    let mut host = Host::new(&guest(KEEPS));
    for secret in [
        &b"secret"[..],
        &[b's'; 100],
        &[b's'; 100_000],
        &[b's'; 10_000_000],
    ] {
        assert_eq!(host.output("keep", secret), secret[..6]);
        assert_eq!(host.numbers("look", b""), [0; 6]);
        // An input in the place of the old one.
        assert_eq!(host.numbers("look", b"ab")[..2], [2, 0x6261]);
    }
}

#[test]
fn large_inputs_and_outputs_pass() {
    let mut host = Host::new(&guest(&function(
        "echo",
        "(call $output_set (call $input_offset) (call $input_length))",
    )));
    for size in [1, 7, 8, 65_400, 65_536, 1 << 20, 32 << 20, 100 << 20] {
        let input: Vec<u8> = (0..size).map(|i| (i * 7 + i / 251) as u8).collect();
        assert!(host.output("echo", &input) == input, "{size}");
    }
}

#[test]
fn inputs_are_written_in_place() {
    let host = &mut Host::new(&guest(&function(
        "echo",
        "(call $output_set (call $input_offset) (call $input_length))",
    )));
    let echo = host.linked.program().function("echo").unwrap();
    let pieces = [&b"one "[..], b"", b"two"];
    let mut outcome = host.plugin.call_now(echo, &pieces[..]);
    assert_eq!(outcome.output(), b"one two");
    drop(outcome);
    let writes = |memory: &mut [u8]| {
        memory.fill(b'x');
        Ok(())
    };
    assert_eq!(host.plugin.call_now(echo, (3, writes)).output(), b"xxx");
    let fails = |_: &mut [u8]| Err(std::io::Error::other("the file is gone"));
    let mut outcome = host.plugin.call_now(echo, (3, fails));
    assert_eq!(
        outcome.failure().unwrap().to_string(),
        "input: the file is gone"
    );
    assert_eq!(outcome.output(), b"", "nothing of the call before");
    drop(outcome);
    assert_eq!(host.output("echo", b"still there"), b"still there");
}
