//! Guests in WebAssembly's text format.

use std::fmt::Write;

/// Everything that guests may import of the host: name, parameters, result.
pub const ENV: &[(&str, &str, &str)] = &[
    ("alloc", "i64", "i64"),
    ("free", "i64", ""),
    ("length", "i64", "i64"),
    ("length_unsafe", "i64", "i64"),
    ("load_u8", "i64", "i32"),
    ("load_u64", "i64", "i64"),
    ("store_u8", "i64 i32", ""),
    ("store_u64", "i64 i64", ""),
    ("input_load_u8", "i64", "i32"),
    ("input_load_u64", "i64", "i64"),
    ("input_length", "", "i64"),
    ("input_offset", "", "i64"),
    ("input_set", "i64 i64", ""),
    ("output_set", "i64 i64", ""),
    ("output_length", "", "i64"),
    ("output_offset", "", "i64"),
    ("reset", "", ""),
    ("error_set", "i64", ""),
    ("error_get", "", "i64"),
    ("memory_bytes", "", "i64"),
    ("config_get", "i64", "i64"),
    ("var_get", "i64", "i64"),
    ("var_set", "i64 i64", ""),
    ("log_trace", "i64", ""),
    ("log_debug", "i64", ""),
    ("log_info", "i64", ""),
    ("log_warn", "i64", ""),
    ("log_error", "i64", ""),
    ("get_log_level", "", "i32"),
    ("http_request", "i64 i64", "i64"),
    ("http_status_code", "", "i32"),
    ("http_headers", "", "i64"),
];

/// The same of the embedder.
pub const USER: &[(&str, &str, &str)] = &[
    ("shared_data_get", "i64", "i64"),
    ("shared_data_get_with_cas", "i64", "i64"),
    ("shared_data_set", "i64 i64", "i64"),
    ("shared_data_compare_and_swap", "i64 i64 i64", "i64"),
    ("enqueue", "i64 i64", "i64"),
    ("counter_increment", "i64 i64", "i64"),
    ("variable_get", "i64", "i64"),
    ("variable_set", "i64 i64", "i64"),
    ("log", "i64 i64", "i64"),
];

/// What guests have of their own: `$text` makes a block of its memory, `$say` an output, `$note` and `$notes` an output of
/// numbers.
const OWN: &str = r#"
  (memory $own 2)
  (global $noted (mut i32) (i32.const 65536))
  (func $text (param $from i32) (param $len i32) (result i64)
    (local $block i64) (local $i i32)
    (local.set $block (call $alloc (i64.extend_i32_u (local.get $len))))
    (block $end (loop $on
      (br_if $end (i32.ge_u (local.get $i) (local.get $len)))
      (call $store_u8 (i64.add (local.get $block) (i64.extend_i32_u (local.get $i)))
        (i32.load8_u (i32.add (local.get $from) (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $on)))
    (local.get $block))
  (func $say (param $from i32) (param $len i32)
    (call $output_set (call $text (local.get $from) (local.get $len)) (i64.extend_i32_u (local.get $len))))
  (func $answer (param $block i64)
    (call $output_set (local.get $block) (call $length (local.get $block))))
  (func $note (param $number i64)
    (i64.store (global.get $noted) (local.get $number))
    (global.set $noted (i32.add (global.get $noted) (i32.const 8))))
  (func $note32 (param $number i32) (call $note (i64.extend_i32_u (local.get $number))))
  (func $notes
    (call $say (i32.const 65536) (i32.sub (global.get $noted) (i32.const 65536)))
    (global.set $noted (i32.const 65536)))
  (func $fail (param $from i32) (param $len i32)
    (call $error_set (call $text (local.get $from) (local.get $len))))
  (func $spin (loop $for_ever (br $for_ever)))
"#;

/// A guest with these fields, and the imports that they need.
pub fn guest(fields: &str) -> String {
    let own = if fields.contains("(memory ") { "" } else { OWN };
    let all = format!("{own}{fields}");
    let mut wat = String::from("(module\n");
    for (module, functions) in [("extism:host/env", ENV), ("extism:host/user", USER)] {
        for (name, params, result) in functions {
            if uses(&all, name) {
                let result = match *result {
                    "" => String::new(),
                    result => format!("(result {result})"),
                };
                let _ = writeln!(
                    wat,
                    r#"  (import "{module}" "{name}" (func ${name} (param {params}) {result}))"#
                );
            }
        }
    }
    wat + &all + ")"
}

fn uses(text: &str, name: &str) -> bool {
    let call = format!("call ${name}");
    text.match_indices(&call).any(|(at, _)| {
        let after = text[at + call.len()..].chars().next();
        after.is_none_or(|c| !c.is_alphanumeric() && c != '_')
    })
}

/// A function that returns 0 after this.
pub fn function(name: &str, body: &str) -> String {
    format!("(func (export \"{name}\") (result i32) {body} (i32.const 0))\n")
}

/// Texts in the guest's memory, one behind the other from address 16 on, and for each `(i32.const address) (i32.const length)`.
pub fn texts<const N: usize>(texts: [&str; N]) -> (String, [String; N]) {
    let mut at = 16;
    let mut data = String::new();
    let places = texts.map(|text| {
        let bytes: String = text.bytes().map(|b| format!("\\{b:02x}")).collect();
        let _ = writeln!(data, "(data (i32.const {at}) \"{bytes}\")");
        let place = format!("(i32.const {at}) (i32.const {})", text.len());
        at += text.len();
        place
    });
    (data, places)
}
