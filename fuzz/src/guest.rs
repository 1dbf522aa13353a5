//! A guest that makes the host calls that stand in its memory.
//!
//! A record is a u32, the number of an import (`END`: return from the callback), 4 unused bytes and
//! twelve arguments of 8 bytes. A 32-bit argument whose upper half is 1 is the address of the value.

use crate::common::imports::{ENV, WASI, WASI_MODULES, import};

/// How many pages there are at the start.
pub const PAGES: u32 = 2;
/// Where results of host calls go by default: 64 numbers.
pub const OUT: u32 = 16;
/// How the allocator behaves, and which address it may answer.
pub const MODE: u32 = 1000;
/// Which record is next.
pub const NEXT: u32 = 1008;
/// Where the records are.
pub const RECORDS: u32 = 65536;
pub const RECORD: u32 = 104;
pub const MAX_RECORDS: u32 = 250;
/// The number that ends a callback, whose first argument is what it returns.
pub const END: u32 = 0x8000;
const HEAP: u32 = 98304;

/// Callbacks with parameters and whether they return something.
pub const CALLBACKS: [(&str, usize, bool); 20] = [
    ("context_create", 2, false),
    ("vm_start", 2, true),
    ("configure", 2, true),
    ("tick", 1, false),
    ("queue_ready", 2, false),
    ("request_headers", 3, true),
    ("request_body", 3, true),
    ("request_trailers", 2, true),
    ("response_headers", 3, true),
    ("response_body", 3, true),
    ("response_trailers", 2, true),
    ("http_call_response", 5, false),
    ("grpc_receive_initial_metadata", 3, false),
    ("grpc_receive", 3, false),
    ("grpc_receive_trailing_metadata", 3, false),
    ("grpc_close", 3, false),
    ("foreign_function", 3, false),
    ("done", 1, true),
    ("log", 1, false),
    ("delete", 1, false),
];

/// All imports: name, parameters, result.
pub fn imports() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    ENV.iter().chain(WASI)
}

/// The guest's text for a version of the ABI such as `0_2_1`.
pub fn wat(abi: &str) -> String {
    let mut fields = String::new();
    for function in ENV {
        fields += &import("env", function, function.0);
    }
    for function in WASI {
        fields += &import(WASI_MODULES[0], function, function.0);
    }
    fields += &format!(
        "(memory (export \"memory\") {PAGES} 8) (func (export \"proxy_abi_version_{abi}\"))"
    );
    let mut names = String::new();
    let mut count = 0;
    for (name, params, result) in imports() {
        let arguments: String = params
            .chars()
            .enumerate()
            .map(|(i, param)| {
                let at = format!("(i32.add (local.get $at) (i32.const {}))", 8 + 8 * i);
                match param {
                    'L' => format!("(i64.load {at})"),
                    _ => format!("(call $argument {at})"),
                }
            })
            .collect();
        let call = format!("(call ${name} {arguments})");
        let call = match *result {
            "" => call,
            _ => format!("(i32.store (i32.const 8) {call})"),
        };
        fields += &format!("(func $do_{name} (param $at i32) {call})\n");
        names += &format!("$do_{name} ");
        count += 1;
    }
    for (name, params, result) in CALLBACKS {
        let params = match name {
            "request_headers" | "response_headers" if abi == "0_1_0" => 2,
            _ => params,
        };
        let params = "i32 ".repeat(params);
        let (result, value) = match result {
            true => ("(result i32)", "(global.get $answer)"),
            false => ("", ""),
        };
        fields += &format!(
            "(func (export \"proxy_on_{name}\") (param {params}) {result} (call $run) {value})\n"
        );
    }
    format!(
        r#"(module {fields}
    (type $do (func (param i32)))
    (table funcref (elem {names}))
    (global $left (mut i32) (i32.const 400))
    (global $answer (mut i32) (i32.const 1))
    (global $heap (mut i32) (i32.const {HEAP}))

    (func $argument (param $at i32) (result i32)
        (local $value i32)
        (local.set $value (i32.load (local.get $at)))
        (if (i32.eq (i32.load offset=4 (local.get $at)) (i32.const 1))
            (then (local.set $value
                (i32.load (i32.and (local.get $value) (i32.const 0xfffc))))))
        (local.get $value))

    ;; The next record; 0 when the callback is to return.
    (func $step (result i32)
        (local $at i32) (local $import i32) (local $next i32)
        (local.set $next (i32.load (i32.const {NEXT})))
        (if (i32.ge_u (local.get $next) (i32.const {MAX_RECORDS})) (then (return (i32.const 0))))
        (if (i32.eqz (global.get $left)) (then (return (i32.const 0))))
        (global.set $left (i32.sub (global.get $left) (i32.const 1)))
        (local.set $at (i32.add (i32.const {RECORDS})
            (i32.mul (local.get $next) (i32.const {RECORD}))))
        (i32.store (i32.const {NEXT}) (i32.add (local.get $next) (i32.const 1)))
        (local.set $import (i32.load (local.get $at)))
        (if (i32.ge_u (local.get $import) (i32.const {END}))
            (then
                (global.set $answer (i32.load offset=8 (local.get $at)))
                (return (i32.const 0))))
        (call_indirect (type $do) (local.get $at)
            (i32.rem_u (local.get $import) (i32.const {count})))
        (i32.const 1))

    (func $run
        (global.set $answer (i32.const 1))
        (loop $more (br_if $more (call $step))))

    ;; The environment's one variable has the records in letters, two for a byte.
    (func (export "_initialize")
        (local $from i32) (local $to i32) (local $byte i32)
        (drop (call $environ_get (i32.const {OUT}) (i32.const {HEAP})))
        (local.set $from (i32.const {HEAP}))
        (local.set $to (i32.const {RECORDS}))
        (if (i32.eqz (i32.load8_u (local.get $from))) (then (return)))
        (local.set $from (i32.add (local.get $from) (i32.const 2)))
        (loop $more
            (local.set $byte (i32.load8_u (local.get $from)))
            (if (local.get $byte) (then
                (i32.store8 (local.get $to) (i32.or
                    (i32.shl (i32.and (local.get $byte) (i32.const 15)) (i32.const 4))
                    (i32.and (i32.load8_u offset=1 (local.get $from)) (i32.const 15))))
                (local.set $from (i32.add (local.get $from) (i32.const 2)))
                (local.set $to (i32.add (local.get $to) (i32.const 1)))
                (br $more))))
        (call $run))

    (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
        (local $mode i32) (local $at i32)
        (local.set $mode (i32.load8_u (i32.const {MODE})))
        (if (i32.eq (local.get $mode) (i32.const 1)) (then (return (i32.const 0))))
        (if (i32.eq (local.get $mode) (i32.const 2))
            (then (return (i32.load offset=4 (i32.const {MODE})))))
        (if (i32.eq (local.get $mode) (i32.const 3)) (then unreachable))
        (if (i32.eq (local.get $mode) (i32.const 4)) (then (drop (call $step))))
        (if (i32.gt_u (local.get $size) (i32.const 0x80000)) (then (return (i32.const 0))))
        (local.set $at (global.get $heap))
        (block $fits
            (loop $grow
                (br_if $fits (i32.le_u (i32.add (local.get $at) (local.get $size))
                    (i32.mul (memory.size) (i32.const 65536))))
                (if (i32.lt_s (memory.grow (i32.const 1)) (i32.const 0))
                    (then (return (i32.const 0))))
                (br $grow)))
        (global.set $heap (i32.and (i32.const -8)
            (i32.add (i32.const 7) (i32.add (local.get $at) (local.get $size)))))
        (local.get $at)))"#
    )
}
