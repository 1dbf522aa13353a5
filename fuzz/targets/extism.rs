//! Extism's kernel and host functions, called in any order with any arguments.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz::mutator!();

fuzz_target!(|data: &[u8]| fuzz::extism::run(data));
