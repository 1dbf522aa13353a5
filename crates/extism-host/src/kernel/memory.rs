//! The kernel of one instance, seen from the host.

use std::io;
use std::ops::Range;

use wasm_runtime::wasmtime::{AsContextMut, Memory, Result};
use wasm_runtime::{OutOfMemory, clear};

use super::blocks::{Blocks, TooSmall};
use super::layout::{
    BLOCKS, ERROR_OFFSET, INPUT_LENGTH, INPUT_OFFSET, OUTPUT_LENGTH, OUTPUT_OFFSET, USED,
    USED_WORDS, read, write,
};
use crate::error::Refusal;
use crate::services::Services;
use crate::state::State;

/// Bytes of a page of WebAssembly.
pub const PAGE: u64 = 64 << 10;

/// Bytes that an instance keeps between calls; what calls have used beyond that goes back to the system.
pub const KEPT: usize = 4 << 20;

/// The memory that host and guest exchange bytes in, and its blocks.
#[derive(Default)]
pub struct Kernel {
    /// There as soon as the instance is.
    pub memory: Option<Memory>,
    pub blocks: Blocks,
}

/// The kernel's memory and the rest, borrowed at once. An error: the kernel is not there yet, so no guest is, either.
#[inline]
pub fn parts<S: Services>(
    store: &mut impl AsContextMut<Data = State<S>>,
) -> Result<(&mut [u8], &mut State<S>)> {
    let store = store.as_context_mut();
    match store.data().kernel.memory {
        Some(memory) => Ok(memory.data_and_store_mut(store)),
        None => Err(Refusal::NoMemory.into()),
    }
}

/// A new block: of zeroes, or, for who writes all of it, of anything. 0: there is none of that size, or no memory for it.
/// An error: the instance may not have so much, which ends the call.
pub fn allocate<S: Services>(
    store: &mut impl AsContextMut<Data = State<S>>,
    length: u64,
    zeroed: bool,
) -> Result<u64> {
    loop {
        let (memory, state) = parts(store)?;
        let blocks = &mut state.kernel.blocks;
        let placed = match zeroed {
            true => blocks.allocate(memory, length),
            false => blocks.allocate_for(memory, length),
        };
        let needed = match placed {
            Ok(offset) => return Ok(offset.unwrap_or(0).into()),
            Err(TooSmall(needed)) => needed,
        };
        let pages = needed.saturating_sub(memory.len() as u64).div_ceil(PAGE);
        let Some(memory) = state.kernel.memory else {
            return Ok(0);
        };
        match memory.grow(store.as_context_mut(), pages) {
            Ok(_) => {}
            Err(error) if error.is::<OutOfMemory>() => return Err(error),
            Err(_) => return Ok(0),
        }
    }
}

/// A new block with what `write` puts into it, which is given its bytes and the rest. No block is made for no bytes: 0.
pub fn fill<S: Services>(
    store: &mut impl AsContextMut<Data = State<S>>,
    length: usize,
    write: impl FnOnce(&mut [u8], &mut State<S>),
) -> Result<u64> {
    if length == 0 {
        return Ok(0);
    }
    let offset = allocate(store, length as u64, false)?;
    let (memory, state) = parts(store)?;
    let start = offset as usize;
    match memory.get_mut(start..start + length) {
        Some(block) if offset != 0 => {
            write(block, state);
            Ok(offset)
        }
        _ => Err(Refusal::NoMemory.into()),
    }
}

/// The same with these bytes.
pub fn give<S: Services>(
    store: &mut impl AsContextMut<Data = State<S>>,
    bytes: &[u8],
) -> Result<u64> {
    fill(store, bytes.len(), |block, _| block.copy_from_slice(bytes))
}

impl Kernel {
    /// The bytes of a block that a guest passes; 0 stands for none. `what` names it where there is no such block.
    pub fn block(&self, memory: &[u8], offset: u64, what: &'static str) -> Result<Range<usize>> {
        if offset == 0 {
            return Ok(0..0);
        }
        match self.blocks.length(memory, offset) {
            0 => Err(Refusal::Handle(what, offset).into()),
            length => Ok(offset as usize..offset as usize + length as usize),
        }
    }

    /// Begins a call: there are no blocks any more, no input, output and error.
    pub fn reset(&mut self, memory: &mut [u8]) {
        self.blocks.reset();
        let cells = [
            USED,
            USED_WORDS,
            INPUT_OFFSET,
            INPUT_LENGTH,
            OUTPUT_OFFSET,
            OUTPUT_LENGTH,
            ERROR_OFFSET,
        ];
        for cell in cells {
            write(memory, cell, 0);
        }
    }

    /// Gives back what a call has used of the memory, where that is much. Nothing of it is used any more.
    #[inline]
    pub fn trim(&mut self, memory: &mut [u8]) {
        if self.blocks.dirty() > KEPT {
            self.give_back(memory);
        }
    }

    #[cold]
    fn give_back(&mut self, memory: &mut [u8]) {
        self.reset(memory);
        let end = self.blocks.dirty().min(memory.len());
        if let Some(rest) = memory.get_mut(KEPT..end) {
            clear(rest);
            self.blocks.cleared_from(KEPT);
        }
    }

    /// What the guest has set as its output.
    pub fn output(&self, memory: &[u8]) -> Range<usize> {
        let start = read(memory, OUTPUT_OFFSET) as usize;
        let length = read(memory, OUTPUT_LENGTH) as usize;
        match start.checked_add(length) {
            Some(end) if start >= BLOCKS && end <= memory.len() => start..end,
            _ => 0..0,
        }
    }

    /// What the guest has set as its error: only where a block begins there is one.
    pub fn error(&self, memory: &[u8]) -> Option<Range<usize>> {
        let offset = read(memory, ERROR_OFFSET);
        match self.blocks.length(memory, offset) {
            0 => None,
            length => Some(offset as usize..offset as usize + length as usize),
        }
    }
}

/// Begins a call with an input of so many bytes, which `write_input` puts there.
pub fn begin<S: Services>(
    store: &mut impl AsContextMut<Data = State<S>>,
    length: usize,
    write_input: impl FnOnce(&mut [u8]) -> io::Result<()>,
) -> Result<()> {
    let (memory, state) = parts(store)?;
    state.kernel.reset(memory);
    if length == 0 {
        return Ok(());
    }
    let mut written = Ok(());
    let offset = fill(store, length, |block, _| written = write_input(block))?;
    written?;
    let (memory, _) = parts(store)?;
    write(memory, INPUT_OFFSET, offset);
    write(memory, INPUT_LENGTH, length as u64);
    Ok(())
}
