//! Arguments, of which there are none, and environment variables.

use wasm_runtime::wasmtime::Caller;

use super::errno::{Errno, code};
use super::host::Wasi;
use crate::memory::{parts, slice_mut, write_u32};

pub(super) fn args_sizes_get<T: Wasi>(mut caller: Caller<'_, T>, count: u32, bytes: u32) -> u32 {
    let mut run = || {
        let (memory, _) = parts(&mut caller)?;
        write_u32(memory, count, 0)?;
        write_u32(memory, bytes, 0)?;
        Ok(())
    };
    code(run())
}

/// Bytes of `name=value\0`.
fn entry_len((name, value): &(Vec<u8>, Vec<u8>)) -> Option<u32> {
    u32::try_from(name.len().checked_add(value.len())?.checked_add(2)?).ok()
}

pub(super) fn environ_sizes_get<T: Wasi>(mut caller: Caller<'_, T>, count: u32, bytes: u32) -> u32 {
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        let env = state.environment();
        let total = env
            .iter()
            .try_fold(0_u32, |total, entry| total.checked_add(entry_len(entry)?))
            .ok_or(Errno::Inval)?;
        write_u32(memory, count, env.len() as u32)?;
        write_u32(memory, bytes, total)?;
        Ok(())
    };
    code(run())
}

pub(super) fn environ_get<T: Wasi>(mut caller: Caller<'_, T>, pointers: u32, bytes: u32) -> u32 {
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        let (mut pointer, mut at) = (pointers, bytes);
        for entry in state.environment() {
            let len = entry_len(entry).ok_or(Errno::Inval)?;
            let (name, value) = entry;
            write_u32(memory, pointer, at)?;
            let place = slice_mut(memory, at, len)?;
            place[..name.len()].copy_from_slice(name);
            place[name.len()] = b'=';
            place[name.len() + 1..][..value.len()].copy_from_slice(value);
            place[name.len() + 1 + value.len()] = 0;
            // Checked: both are past what has just been written.
            pointer = pointer.wrapping_add(4);
            at = at.wrapping_add(len);
        }
        Ok(())
    };
    code(run())
}
