//! Foreign functions.

use guest_host::memory::{parts, slice, slice_mut, write_u32};
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::ending;
use crate::abi::Status;
use crate::foreign;
use crate::memory::{Fault, allocate};
use crate::state::State;
use crate::traits::Proxy;

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker.func_wrap("env", "proxy_call_foreign_function", call::<P>)?;
    Ok(())
}

/// Most bytes of arguments: what a function does with them cannot be interrupted.
const MAX_ARGUMENTS: usize = 16 << 20;

/// `BadArgument`: the arguments are too long. As in the reference host, an address of 0 for the result or its length is not written to.
fn call<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    name: u32,
    name_len: u32,
    arguments: u32,
    arguments_len: u32,
    ptr: u32,
    len: u32,
) -> Result<u32> {
    let mut run = || -> Result<(), Fault> {
        let (memory, state) = parts(&mut caller)?;
        for place in [ptr, len] {
            if place != 0 {
                slice(memory, place, 4)?;
            }
        }
        let name = slice(memory, name, name_len)?;
        let arguments = slice(memory, arguments, arguments_len)?;
        if arguments.len() > MAX_ARGUMENTS {
            return Err(Status::BadArgument.into());
        }
        let mut result = Vec::new();
        foreign::call(state, name, arguments, &mut result)?;

        let size = u32::try_from(result.len()).map_err(|_| Status::InternalFailure)?;
        if ptr != 0 {
            let address = match size {
                0 => 0,
                _ => allocate(&mut caller, size)?,
            };
            let (memory, _) = parts(&mut caller)?;
            slice_mut(memory, address, size)?.copy_from_slice(&result);
            write_u32(memory, ptr, address)?;
        }
        if len != 0 {
            let (memory, _) = parts(&mut caller)?;
            write_u32(memory, len, size)?;
        }
        Ok(())
    };
    ending(run())
}
