//! Log and clock.

use guest_host::clock::now;
use guest_host::memory::{parts, slice, write_u32, write_u64};
use guest_host::{Capability, LogLevel};
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::code;
use crate::abi::Status;
use crate::state::State;
use crate::traits::Proxy;

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker
        .func_wrap("env", "proxy_log", log::<P>)?
        .func_wrap("env", "proxy_get_log_level", log_level::<P>)?
        .func_wrap("env", "proxy_get_current_time_nanoseconds", time::<P>)?;
    Ok(())
}

fn log<P: Proxy>(mut caller: Caller<'_, State<P>>, level: u32, ptr: u32, len: u32) -> u32 {
    let mut run = || {
        let level = LogLevel::try_from(level).map_err(|_| Status::BadArgument)?;
        let (memory, state) = parts(&mut caller)?;
        let stream = state.stream();
        if state.proxy.log_enabled(stream, level) {
            let message = slice(memory, ptr, len)?;
            state.proxy.log(stream, level, message);
        }
        Ok(())
    };
    code(run())
}

fn log_level<P: Proxy>(mut caller: Caller<'_, State<P>>, out: u32) -> u32 {
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        Ok(write_u32(memory, out, state.proxy.log_level() as u32)?)
    };
    code(run())
}

fn time<P: Proxy>(mut caller: Caller<'_, State<P>>, out: u32) -> u32 {
    let mut run = || {
        let state = caller.data_mut();
        state.require(Capability::Clock, "proxy_get_current_time_nanoseconds")?;
        let (memory, _) = parts(&mut caller)?;
        Ok(write_u64(
            memory,
            out,
            now().ok_or(Status::InternalFailure)?,
        )?)
    };
    code(run())
}
