//! What the guest is called with, and what it answers. A wrong address is a trap.

use guest_host::Services;
use guest_host::memory::{parts, slice, slice_mut};
use wasm_runtime::wasmtime::{Caller, Result};

use crate::state::State;

/// Writes the operation and the message to where the guest has room for them. In the start both are empty.
pub fn request<S: Services + 'static>(
    mut caller: Caller<'_, State<S>>,
    operation: u32,
    message: u32,
) -> Result<()> {
    let (memory, state) = parts(&mut caller)?;
    let exchange = &state.exchange;
    // No message is as long as 4 GiB, nor an operation: it would not have begun.
    let len = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let size = len(exchange.message_size());
    slice(memory, message, size)?;
    let name = &exchange.operation;
    slice_mut(memory, operation, len(name.len()))?.copy_from_slice(name);
    exchange.write_message(slice_mut(memory, message, size)?)?;
    Ok(())
}

/// Sets the response; the last one counts.
pub fn response<S: Services + 'static>(
    mut caller: Caller<'_, State<S>>,
    ptr: u32,
    len: u32,
) -> Result<()> {
    let (memory, state) = parts(&mut caller)?;
    state.exchange.response.set(slice(memory, ptr, len)?);
    Ok(())
}

/// Sets the text of an error; the last one counts.
pub fn error<S: Services + 'static>(
    mut caller: Caller<'_, State<S>>,
    ptr: u32,
    len: u32,
) -> Result<()> {
    let (memory, state) = parts(&mut caller)?;
    state.exchange.error.set(slice(memory, ptr, len)?);
    Ok(())
}
