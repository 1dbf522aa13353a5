//! The kernel's functions that the host has: those that need the book of the blocks.

use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::layout::BLOCKS;
use super::memory::{PAGE, allocate, parts};
use crate::imports::ENV;
use crate::services::Services;
use crate::state::State;

/// Defines them.
pub fn define<S: Services>(linker: &mut Linker<State<S>>) -> Result<()> {
    linker.func_wrap(ENV, "alloc", alloc::<S>)?;
    linker.func_wrap(ENV, "free", free::<S>)?;
    linker.func_wrap(ENV, "length", length::<S>)?;
    linker.func_wrap(ENV, "length_unsafe", length::<S>)?;
    linker.func_wrap(ENV, "memory_bytes", memory_bytes::<S>)?;
    linker.func_wrap(ENV, "reset", reset::<S>)?;
    Ok(())
}

fn alloc<S: Services>(mut caller: Caller<'_, State<S>>, length: u64) -> Result<u64> {
    allocate(&mut caller, length, true)
}

fn free<S: Services>(mut caller: Caller<'_, State<S>>, offset: u64) -> Result<()> {
    let (memory, state) = parts(&mut caller)?;
    state.kernel.blocks.free(memory, offset);
    Ok(())
}

fn length<S: Services>(mut caller: Caller<'_, State<S>>, offset: u64) -> Result<u64> {
    let (memory, state) = parts(&mut caller)?;
    Ok(state.kernel.blocks.length(memory, offset).into())
}

/// Bytes that blocks can be in without more memory. What earlier calls had does not count: they could be told from it.
fn memory_bytes<S: Services>(mut caller: Caller<'_, State<S>>) -> Result<u64> {
    let (_, state) = parts(&mut caller)?;
    let pages = (state.kernel.blocks.peak() as u64).next_multiple_of(PAGE);
    Ok(pages - BLOCKS as u64)
}

fn reset<S: Services>(mut caller: Caller<'_, State<S>>) -> Result<()> {
    let (memory, state) = parts(&mut caller)?;
    state.kernel.reset(memory);
    Ok(())
}
