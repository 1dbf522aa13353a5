//! What AssemblyScript's compiler has its guests import.

use wasm_runtime::wasmtime::{Caller, Error, Linker, Result};

use crate::memory::{GuestData, parts, read_u32, slice};

/// Defines `env.abort`.
pub fn define<T: GuestData>(linker: &mut Linker<T>) -> Result<()> {
    linker.func_wrap("env", "abort", abort::<T>)?;
    Ok(())
}

/// Longest message that is told, in UTF-16 units.
const MAX_MESSAGE: u32 = 1024;

/// A failed assertion: traps with its message and position.
fn abort<T: GuestData>(
    mut caller: Caller<'_, T>,
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

/// A string: UTF-16, its length in bytes in the four bytes before it.
fn string(memory: &[u8], ptr: u32) -> Option<String> {
    let len = read_u32(memory, ptr.checked_sub(4)?).ok()?;
    let bytes = slice(memory, ptr, len.min(MAX_MESSAGE * 2) & !1).ok()?;
    let units = bytes
        .as_chunks()
        .0
        .iter()
        .map(|unit| u16::from_le_bytes(*unit));
    Some(
        char::decode_utf16(units)
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
    )
}
