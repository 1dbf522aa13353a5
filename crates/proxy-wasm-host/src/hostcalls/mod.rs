//! The imports of a guest, each a typed host function.
//!
//! Every function returns a status; only a trap of the guest itself, in its allocator, ends a
//! callback from here.

mod buffers;
mod foreign;
mod grpc;
mod headers;
mod http_call;
mod log_time;
mod metrics;
mod misc;
pub(crate) mod properties;
mod queues;
mod redis;
mod shared_data;
mod streams;
mod timer;
pub(crate) mod upstream;

use guest_host::{assemblyscript, wasi};
use wasm_runtime::wasmtime::{Linker, Result};

use crate::abi::Status;
use crate::memory::Fault;
use crate::state::State;
use crate::traits::Proxy;

/// Defines all imports of the ABI, for every guest whatever its version: SDKs import functions
/// that they never call, and mix versions.
pub(crate) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    log_time::define(linker)?;
    headers::define(linker)?;
    buffers::define(linker)?;
    properties::define(linker)?;
    streams::define(linker)?;
    timer::define(linker)?;
    http_call::define(linker)?;
    grpc::define(linker)?;
    redis::define(linker)?;
    upstream::define(linker)?;
    shared_data::define(linker)?;
    queues::define(linker)?;
    metrics::define(linker)?;
    misc::define(linker)?;
    foreign::define(linker)?;
    assemblyscript::define(linker)?;
    wasi::define(linker)
}

/// A status as the guest's number.
fn code(result: Result<(), Status>) -> u32 {
    match result {
        Ok(()) => Status::Ok as u32,
        Err(status) => status as u32,
    }
}

/// The same for functions that allocate.
fn ending(result: Result<(), Fault>) -> Result<u32> {
    match result {
        Ok(()) => Ok(Status::Ok as u32),
        Err(Fault::Status(status)) => Ok(status as u32),
        Err(Fault::Trap(error)) => Err(error),
    }
}
