//! What compilers and language runtimes import from `env`.

use wasm_runtime::wasmtime::{Linker, Result};

use crate::state::State;
use crate::traits::Proxy;

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker
        .func_wrap("env", "emscripten_notify_memory_growth", |_memory: u32| {})?
        // Imported by older C++ guests; the reference host has it too.
        .func_wrap("env", "pthread_equal", |a: u32, b: u32| u32::from(a == b))?;
    Ok(())
}
