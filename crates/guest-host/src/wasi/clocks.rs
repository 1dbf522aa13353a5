//! Clocks: that of the day, and one that starts with the instance.

use wasm_runtime::wasmtime::Caller;

use super::errno::{Errno, code};
use super::host::{Wasi, require};
use crate::capabilities::Capability;
use crate::clock;
use crate::memory::{parts, write_u64};

/// Both clocks that there are count nanoseconds.
pub(super) fn clock_res_get<T: Wasi>(mut caller: Caller<'_, T>, id: u32, out: u32) -> u32 {
    let mut run = || {
        require(&mut caller, Capability::Clock, "clock_res_get")?;
        if id > 1 {
            return Err(Errno::Notsup);
        }
        let (memory, _) = parts(&mut caller)?;
        write_u64(memory, out, 1)?;
        Ok(())
    };
    code(run())
}

pub(super) fn clock_time_get<T: Wasi>(
    mut caller: Caller<'_, T>,
    id: u32,
    _precision: u64,
    out: u32,
) -> u32 {
    let mut run = || {
        require(&mut caller, Capability::Clock, "clock_time_get")?;
        let (memory, state) = parts(&mut caller)?;
        let time = match id {
            0 => clock::now().ok_or(Errno::Inval)?,
            1 => clock::monotonic(state.started()),
            _ => return Err(Errno::Notsup),
        };
        write_u64(memory, out, time)?;
        Ok(())
    };
    code(run())
}
