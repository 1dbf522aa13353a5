//! Checked access to the guest's memory, and allocation in it.

use std::mem;

use wasm_runtime::wasmtime::{Caller, Error, Extern};

use crate::abi::Status;
use crate::state::{Allocator, State};
use crate::traits::Proxy;

/// How a host function ends when it does not succeed.
pub(crate) enum Fault {
    /// The guest is told.
    Status(Status),
    /// The guest trapped (in its allocator), which ends the callback.
    Trap(Error),
}

impl From<Status> for Fault {
    fn from(status: Status) -> Fault {
        Fault::Status(status)
    }
}

/// Names of the allocator, the preferred first.
pub(crate) const ALLOCATORS: [&str; 2] = ["proxy_on_memory_allocate", "malloc"];

/// Largest capacity that a scratch buffer keeps between calls, in bytes.
const MAX_SCRATCH: usize = 64 << 10;

/// [ptr, ptr + len) of the guest's memory.
pub(crate) fn slice(memory: &[u8], ptr: u32, len: u32) -> Result<&[u8], Status> {
    let start = ptr as usize;
    start
        .checked_add(len as usize)
        .and_then(|end| memory.get(start..end))
        .ok_or(Status::InvalidMemoryAccess)
}

pub(crate) fn slice_mut(memory: &mut [u8], ptr: u32, len: u32) -> Result<&mut [u8], Status> {
    let start = ptr as usize;
    start
        .checked_add(len as usize)
        .and_then(|end| memory.get_mut(start..end))
        .ok_or(Status::InvalidMemoryAccess)
}

pub(crate) fn read_u32(memory: &[u8], ptr: u32) -> Result<u32, Status> {
    memory
        .get(ptr as usize..)
        .and_then(<[u8]>::first_chunk)
        .map(|bytes| u32::from_le_bytes(*bytes))
        .ok_or(Status::InvalidMemoryAccess)
}

pub(crate) fn write<const N: usize>(
    memory: &mut [u8],
    ptr: u32,
    bytes: [u8; N],
) -> Result<(), Status> {
    *memory
        .get_mut(ptr as usize..)
        .and_then(<[u8]>::first_chunk_mut)
        .ok_or(Status::InvalidMemoryAccess)? = bytes;
    Ok(())
}

pub(crate) fn write_u32(memory: &mut [u8], ptr: u32, value: u32) -> Result<(), Status> {
    write(memory, ptr, value.to_le_bytes())
}

pub(crate) fn write_u64(memory: &mut [u8], ptr: u32, value: u64) -> Result<(), Status> {
    write(memory, ptr, value.to_le_bytes())
}

/// The guest's memory and this VM's state, borrowed at once.
pub(crate) fn parts<'a, P: Proxy>(
    caller: &'a mut Caller<'_, State<P>>,
) -> Result<(&'a mut [u8], &'a mut State<P>), Status> {
    let memory = match caller.data().memory {
        Some(memory) => memory,
        // The first call of all, which may come out of the start section.
        None => {
            let memory = caller
                .get_export("memory")
                .and_then(Extern::into_memory)
                .ok_or(Status::InvalidMemoryAccess)?;
            caller.data_mut().memory = Some(memory);
            memory
        }
    };
    Ok(memory.data_and_store_mut(caller))
}

/// Where the guest wants an address and a length of what the host returns.
#[derive(Clone, Copy)]
pub(crate) struct Out {
    pub ptr: u32,
    pub len: u32,
}

impl Out {
    /// Both places must be writable, before anything is done.
    pub fn check(self, memory: &[u8]) -> Result<(), Status> {
        slice(memory, self.ptr, 4)?;
        slice(memory, self.len, 4)?;
        Ok(())
    }

    pub fn write(self, memory: &mut [u8], address: u32, len: u32) -> Result<(), Status> {
        write_u32(memory, self.ptr, address)?;
        write_u32(memory, self.len, len)
    }
}

/// Lets the guest allocate `len` bytes, which must not be 0 (Go's allocator panics then), and
/// returns their address. The memory may have grown and moved afterwards.
pub(crate) fn allocate<P: Proxy>(
    caller: &mut Caller<'_, State<P>>,
    len: u32,
) -> Result<u32, Fault> {
    let allocator = match mem::replace(&mut caller.data_mut().allocator, Allocator::Running) {
        Allocator::Running => return Err(Status::InternalFailure.into()),
        Allocator::Known(allocator) => Some(allocator),
        Allocator::Unknown => ALLOCATORS
            .iter()
            .find_map(|name| caller.get_export(name))
            .and_then(Extern::into_func)
            .and_then(|function| function.typed(&*caller).ok()),
    };
    let Some(allocator) = allocator else {
        caller.data_mut().allocator = Allocator::Unknown;
        return Err(Status::InternalFailure.into());
    };
    let address = allocator.call(&mut *caller, len);
    caller.data_mut().allocator = Allocator::Known(allocator);

    let address = address.map_err(|e| Fault::Trap(e.context("in the guest's allocator")))?;
    if address == 0 {
        return Err(Status::InternalFailure.into());
    }
    let (memory, _) = parts(caller)?;
    slice(memory, address, len)?;
    Ok(address)
}

/// Copies `data` into memory that the guest allocates for it.
pub(crate) fn give<P: Proxy>(
    caller: &mut Caller<'_, State<P>>,
    data: &[u8],
    out: Out,
) -> Result<(), Fault> {
    let len = u32::try_from(data.len()).map_err(|_| Status::InternalFailure)?;
    let address = if len == 0 { 0 } else { allocate(caller, len)? };
    let (memory, _) = parts(caller)?;
    slice_mut(memory, address, len)?.copy_from_slice(data);
    out.write(memory, address, len)?;
    Ok(())
}

/// Gives the guest what `fill` puts into the scratch buffer, which is empty at first.
pub(crate) fn give_scratch<P: Proxy>(
    caller: &mut Caller<'_, State<P>>,
    out: Out,
    fill: impl FnOnce(&[u8], &mut State<P>, &mut Vec<u8>) -> Result<(), Status>,
) -> Result<(), Fault> {
    let (memory, state) = parts(caller)?;
    out.check(memory)?;
    let mut scratch = mem::take(&mut state.scratch);
    scratch.clear();
    let result = match fill(memory, state, &mut scratch) {
        Ok(()) => give(caller, &scratch, out),
        Err(status) => Err(status.into()),
    };
    if scratch.capacity() <= MAX_SCRATCH {
        caller.data_mut().scratch = scratch;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked_without_overflow() {
        let mut memory = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(slice(&memory, 0, 8), Ok(&[1, 2, 3, 4, 5, 6, 7, 8][..]));
        assert_eq!(slice(&memory, 8, 0), Ok(&[][..]));
        for (ptr, len) in [(0, 9), (8, 1), (9, 0), (u32::MAX, 1), (1, u32::MAX)] {
            let bad = Err(Status::InvalidMemoryAccess);
            assert_eq!(slice(&memory, ptr, len), bad);
            assert!(slice_mut(&mut memory, ptr, len).is_err());
        }
        assert_eq!(read_u32(&memory, 4), Ok(0x0807_0605));
        assert!(read_u32(&memory, 5).is_err());
        assert!(read_u32(&memory, u32::MAX).is_err());
        assert!(write_u32(&mut memory, 5, 0).is_err());
        assert!(write_u64(&mut memory, 1, 0).is_err());
        assert_eq!(write_u64(&mut memory, 0, 9), Ok(()));
        assert_eq!(memory, [9, 0, 0, 0, 0, 0, 0, 0]);
    }
}
