//! Every host call with any arguments and memory, in every callback, of every kind of context.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz::mutator!();

fuzz_target!(|data: &[u8]| fuzz::run::run(data));
