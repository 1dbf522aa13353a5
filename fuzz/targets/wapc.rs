//! Every import of a waPC guest with any arguments, call after call, and what is left when the plugin is taken back.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz::mutator!();

fuzz_target!(|data: &[u8]| fuzz::wapc::run(data));
