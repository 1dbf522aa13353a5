//! The descriptors that there are, standard output and standard error, which are lines of the log.

use wasm_runtime::wasmtime::Caller;

use super::errno::{Errno, code};
use super::host::Wasi;
use crate::level::LogLevel;
use crate::memory::{parts, read_u32, slice, write, write_u32, write_u64};

/// Most bytes of one `fd_write`; the guest's library writes the rest with another one.
const MAX_WRITE: usize = 64 << 10;
/// Most pieces of one `fd_write`, as Linux has it.
const MAX_PIECES: u32 = 1024;

pub(super) fn fd_fdstat_get<T: Wasi>(mut caller: Caller<'_, T>, fd: u32, out: u32) -> u32 {
    let mut run = || {
        if fd != 1 && fd != 2 {
            return Err(Errno::Badf);
        }
        let (memory, _) = parts(&mut caller)?;
        // File type and flags: none. The base rights, 8 bytes at 8: fd_write.
        let mut stat = [0; 24];
        stat[8] = 64;
        write(memory, out, stat)?;
        Ok(())
    };
    code(run())
}

pub(super) fn fd_seek<T: Wasi>(
    mut caller: Caller<'_, T>,
    _fd: u32,
    _offset: u64,
    _whence: u32,
    out: u32,
) -> u32 {
    let mut run = || {
        let (memory, _) = parts(&mut caller)?;
        write_u64(memory, out, 0)?;
        Ok(())
    };
    code(run())
}

/// Standard output becomes log lines of level info, standard error such of level error.
pub(super) fn fd_write<T: Wasi>(
    mut caller: Caller<'_, T>,
    fd: u32,
    pieces: u32,
    count: u32,
    out: u32,
) -> u32 {
    let mut run = || {
        let level = match fd {
            1 => LogLevel::Info,
            2 => LogLevel::Error,
            _ => return Err(Errno::Badf),
        };
        if count > MAX_PIECES {
            return Err(Errno::Inval);
        }
        let (memory, state) = parts(&mut caller)?;
        slice(memory, out, 4)?;
        slice(memory, pieces, count * 8)?;

        let mut text = std::mem::take(state.scratch());
        text.clear();
        let result = gather(memory, pieces, count, &mut text);
        let written = text.len() as u32;
        if result.is_ok() {
            state.print(level, &text);
        }
        *state.scratch() = text;
        result?;
        write_u32(memory, out, written)?;
        Ok(())
    };
    code(run())
}

/// Appends the pieces, up to the limit.
fn gather(memory: &[u8], pieces: u32, count: u32, text: &mut Vec<u8>) -> Result<(), Errno> {
    for i in 0..count {
        // Checked: the whole list lies in memory.
        let ptr = read_u32(memory, pieces + i * 8)?;
        let len = read_u32(memory, pieces + i * 8 + 4)?;
        if len > 0 {
            let piece = slice(memory, ptr, len)?;
            let room = MAX_WRITE - text.len();
            text.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() >= room {
                break;
            }
        }
    }
    Ok(())
}
