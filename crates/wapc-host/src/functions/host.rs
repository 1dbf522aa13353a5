//! What the guest calls in the host. A wrong address is a trap.

use std::mem;

use guest_host::memory::{parts, slice, slice_mut};
use guest_host::{LogLevel, Services};
use wasm_runtime::wasmtime::{Caller, Result};

use crate::exchange::Content;
use crate::operations::{self, HostCall};
use crate::state::State;

/// Calls an operation of the host's: 1, and there is a response, which may be empty; or 0, and there is the text of an
/// error.
// The list is waPC's.
#[allow(clippy::too_many_arguments)]
pub fn call<S: Services + 'static>(
    mut caller: Caller<'_, State<S>>,
    binding: u32,
    binding_len: u32,
    namespace: u32,
    namespace_len: u32,
    operation: u32,
    operation_len: u32,
    payload: u32,
    payload_len: u32,
) -> Result<u32> {
    let (memory, state) = parts(&mut caller)?;
    let call = HostCall {
        binding: slice(memory, binding, binding_len)?,
        namespace: slice(memory, namespace, namespace_len)?,
        operation: slice(memory, operation, operation_len)?,
        payload: slice(memory, payload, payload_len)?,
    };
    let mut response = mem::take(&mut state.exchange.host_response);
    let result = operations::run(state, &call, response.fill());
    state.exchange.host_error.clear();
    let succeeded = match result {
        Ok(()) => 1,
        Err(error) => {
            response.clear();
            state.exchange.host_error.set(error.as_bytes());
            0
        }
    };
    state.exchange.host_response = response;
    Ok(succeeded)
}

/// Bytes of the response to the last call; 0 if there is none.
pub fn response_len<S: Services>(caller: Caller<'_, State<S>>) -> u32 {
    len(&caller.data().exchange.host_response)
}

pub fn response<S: Services + 'static>(mut caller: Caller<'_, State<S>>, ptr: u32) -> Result<()> {
    let (memory, state) = parts(&mut caller)?;
    give(memory, ptr, &state.exchange.host_response)
}

/// Bytes of the error of the last call; 0 if there is none.
pub fn error_len<S: Services>(caller: Caller<'_, State<S>>) -> u32 {
    len(&caller.data().exchange.host_error)
}

pub fn error<S: Services + 'static>(mut caller: Caller<'_, State<S>>, ptr: u32) -> Result<()> {
    let (memory, state) = parts(&mut caller)?;
    give(memory, ptr, &state.exchange.host_error)
}

/// No value of the host's has 4 GiB: it would not fit into the guest.
fn len(content: &Content) -> u32 {
    u32::try_from(content.bytes().len()).unwrap_or(u32::MAX)
}

fn give(memory: &mut [u8], ptr: u32, content: &Content) -> Result<()> {
    slice_mut(memory, ptr, len(content))?.copy_from_slice(content.bytes());
    Ok(())
}

/// A line of the log, of level info.
pub fn log<S: Services + 'static>(
    mut caller: Caller<'_, State<S>>,
    ptr: u32,
    len: u32,
) -> Result<()> {
    let (memory, state) = parts(&mut caller)?;
    let line = slice(memory, ptr, len)?;
    if state.services.log_enabled(LogLevel::Info) {
        state.services.log(LogLevel::Info, line);
    }
    Ok(())
}
