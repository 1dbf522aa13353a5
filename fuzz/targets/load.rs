//! Any bytes as a module: it is refused with one line, or it is one.
#![no_main]

use std::sync::LazyLock;

use fuzz::run::one_line;
use libfuzzer_sys::fuzz_target;
use proxy_wasm_host::{Engine, Program};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().expect("an engine"));

fuzz::mutator!();

fuzz_target!(|data: &[u8]| {
    if let Err(error) = Program::compile(&ENGINE, data) {
        one_line(&error.to_string());
    }
});
