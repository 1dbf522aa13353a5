//! What compilers and language runtimes import from `env`.

use wasm_runtime::wasmtime::{Caller, Error, Linker, Result};

use crate::memory::{parts, read_u32, slice};
use crate::state::State;
use crate::traits::Proxy;

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker
        .func_wrap("env", "abort", abort::<P>)?
        .func_wrap("env", "emscripten_notify_memory_growth", |_memory: u32| {})?
        // Imported by older C++ guests; the reference host has it too.
        .func_wrap("env", "pthread_equal", |a: u32, b: u32| u32::from(a == b))?;
    Ok(())
}

/// Longest message that is told, in UTF-16 units.
const MAX_MESSAGE: u32 = 1024;

/// AssemblyScript's failed assertion: traps with its message and position.
fn abort<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    message: u32,
    file: u32,
    line: u32,
    column: u32,
) -> Result<()> {
    let (message, file) = match parts(&mut caller) {
        Ok((memory, _)) => (string(memory, message), string(memory, file)),
        Err(_) => (None, None),
    };
    Err(Error::msg(format!(
        "abort: {} at {}:{line}:{column}",
        message.as_deref().unwrap_or("no message"),
        file.as_deref().unwrap_or("unknown file"),
    )))
}

/// An AssemblyScript string: UTF-16, its length in bytes in the four bytes before it.
fn string(memory: &[u8], ptr: u32) -> Option<String> {
    let len = read_u32(memory, ptr.checked_sub(4)?).ok()?;
    let bytes = slice(memory, ptr, len.min(MAX_MESSAGE * 2) & !1).ok()?;
    let units = bytes
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    Some(
        char::decode_utf16(units)
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
    )
}
