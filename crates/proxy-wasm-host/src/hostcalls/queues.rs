//! Queues between VMs.

use guest_host::Capability;
use guest_host::memory::{parts, slice, write_u32};
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::{code, ending};
use crate::abi::Status;
use crate::memory::{Fault, Out, give_scratch};
use crate::state::State;
use crate::traits::Proxy;

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker
        .func_wrap("env", "proxy_register_shared_queue", register::<P>)?
        .func_wrap("env", "proxy_resolve_shared_queue", resolve::<P>)?
        .func_wrap("env", "proxy_enqueue_shared_queue", enqueue::<P>)?
        .func_wrap("env", "proxy_dequeue_shared_queue", dequeue::<P>)?;
    Ok(())
}

fn allowed<P: Proxy>(caller: &mut Caller<'_, State<P>>, function: &str) -> Result<(), Status> {
    let state = caller.data_mut();
    state.require(Capability::SharedQueue, function)
}

fn register<P: Proxy>(mut caller: Caller<'_, State<P>>, name: u32, name_len: u32, id: u32) -> u32 {
    let mut run = || {
        allowed(&mut caller, "proxy_register_shared_queue")?;
        let (memory, state) = parts(&mut caller)?;
        slice(memory, id, 4)?;
        let name = slice(memory, name, name_len)?;
        let current = state.current().ok_or(Status::BadArgument)?;
        let number = state.proxy.register_queue(current.root, name)?;
        Ok(write_u32(memory, id, number)?)
    };
    code(run())
}

fn resolve<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    vm_id: u32,
    vm_id_len: u32,
    name: u32,
    name_len: u32,
    id: u32,
) -> u32 {
    let mut run = || {
        allowed(&mut caller, "proxy_resolve_shared_queue")?;
        let (memory, state) = parts(&mut caller)?;
        slice(memory, id, 4)?;
        let vm_id = slice(memory, vm_id, vm_id_len)?;
        let name = slice(memory, name, name_len)?;
        let number = state.proxy.resolve_queue(vm_id, name)?;
        Ok(write_u32(memory, id, number)?)
    };
    code(run())
}

fn enqueue<P: Proxy>(mut caller: Caller<'_, State<P>>, id: u32, ptr: u32, len: u32) -> u32 {
    let mut run = || {
        allowed(&mut caller, "proxy_enqueue_shared_queue")?;
        let (memory, state) = parts(&mut caller)?;
        state.proxy.enqueue(id, slice(memory, ptr, len)?)
    };
    code(run())
}

fn dequeue<P: Proxy>(mut caller: Caller<'_, State<P>>, id: u32, ptr: u32, len: u32) -> Result<u32> {
    let mut run = || -> Result<(), Fault> {
        allowed(&mut caller, "proxy_dequeue_shared_queue")?;
        give_scratch(&mut caller, Out { ptr, len }, |_, state, message| {
            state.proxy.dequeue(id, message)
        })
    };
    ending(run())
}
