//! The end of a guest, its random bytes, and what it waits for.

use thiserror::Error;
use wasm_runtime::wasmtime::{Caller, Result};

use super::errno::{Errno, code};
use super::host::{Wasi, require};
use crate::capabilities::Capability;
use crate::memory::{parts, slice_mut, write_u32};

/// A guest has called `proc_exit`: the cause of the error that its call ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("proc_exit({0})")]
pub struct Exit(pub i32);

/// Most bytes of one `random_get`.
const MAX_RANDOM: u32 = 64 << 10;

/// No event ever comes, at once. Go's scheduler needs the success, also inside its allocator.
pub(super) fn poll_oneoff<T: Wasi>(
    mut caller: Caller<'_, T>,
    _subscriptions: u32,
    _events: u32,
    _count: u32,
    out: u32,
) -> u32 {
    let mut run = || {
        let (memory, _) = parts(&mut caller)?;
        write_u32(memory, out, 0)?;
        Ok(())
    };
    code(run())
}

pub(super) fn proc_exit(exit_code: u32) -> Result<()> {
    Err(Exit(exit_code as i32).into())
}

pub(super) fn random_get<T: Wasi>(mut caller: Caller<'_, T>, ptr: u32, len: u32) -> u32 {
    let mut run = || {
        require(&mut caller, Capability::Random, "random_get")?;
        if len > MAX_RANDOM {
            return Err(Errno::Inval);
        }
        let (memory, _) = parts(&mut caller)?;
        getrandom::fill(slice_mut(memory, ptr, len)?).map_err(|_| Errno::Io)
    };
    code(run())
}
