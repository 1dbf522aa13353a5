//! Every import of an http-wasm guest with any arguments, request after request, and what is left when the instance is taken back.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz::mutator!();

fuzz_target!(|data: &[u8]| fuzz::http_wasm::run(data));
