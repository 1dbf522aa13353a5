//! Allocation in the guest's memory, for what the host returns.

use std::mem;

use guest_host::OutOfBounds;
use guest_host::memory::{parts, slice, slice_mut, write_u32};
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

impl From<OutOfBounds> for Fault {
    fn from(out: OutOfBounds) -> Fault {
        Fault::Status(out.into())
    }
}

/// Names of the allocator, the preferred first.
pub(crate) const ALLOCATORS: [&str; 2] = ["proxy_on_memory_allocate", "malloc"];

/// Largest capacity that a scratch buffer keeps between calls, in bytes.
const MAX_SCRATCH: usize = 64 << 10;

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
        Ok(write_u32(memory, self.len, len)?)
    }
}

/// Lets the guest allocate `len` bytes, which must not be 0 (Go's allocator panics then), and
/// returns their address, which is the guest's word: the caller checks that they are in its memory. That may have grown and
/// moved afterwards.
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
    match address {
        0 => Err(Status::InternalFailure.into()),
        _ => Ok(address),
    }
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
