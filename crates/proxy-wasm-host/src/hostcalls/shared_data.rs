//! Data that the VMs of one `vm_id` share.

use guest_host::Capability;
use guest_host::memory::{parts, slice, write_u32};
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::{code, ending};
use crate::memory::{Fault, Out, give_scratch};
use crate::state::State;
use crate::traits::Proxy;

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker
        .func_wrap("env", "proxy_get_shared_data", get::<P>)?
        .func_wrap("env", "proxy_set_shared_data", set::<P>)?;
    Ok(())
}

fn get<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    key: u32,
    key_len: u32,
    ptr: u32,
    len: u32,
    cas: u32,
) -> Result<u32> {
    let mut run = || -> Result<(), Fault> {
        let state = caller.data_mut();
        state.require(Capability::SharedData, "proxy_get_shared_data")?;
        let mut number = 0;
        give_scratch(&mut caller, Out { ptr, len }, |memory, state, value| {
            slice(memory, cas, 4)?;
            number = state
                .proxy
                .shared_data(slice(memory, key, key_len)?, value)?;
            Ok(())
        })?;
        let (memory, _) = parts(&mut caller)?;
        write_u32(memory, cas, number)?;
        Ok(())
    };
    ending(run())
}

fn set<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    key: u32,
    key_len: u32,
    value: u32,
    value_len: u32,
    cas: u32,
) -> u32 {
    let mut run = || {
        let state = caller.data_mut();
        state.require(Capability::SharedData, "proxy_set_shared_data")?;
        let (memory, state) = parts(&mut caller)?;
        let key = slice(memory, key, key_len)?;
        let value = slice(memory, value, value_len)?;
        state.proxy.set_shared_data(key, value, cas)
    };
    code(run())
}
