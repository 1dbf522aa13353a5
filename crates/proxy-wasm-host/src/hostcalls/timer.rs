//! Ticks.

use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::code;
use crate::abi::Status;
use crate::state::State;
use crate::traits::Proxy;

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker.func_wrap(
        "env",
        "proxy_set_tick_period_milliseconds",
        |caller: Caller<'_, State<P>>, milliseconds: u32| {
            let state = caller.data();
            let root = state.current().map(|current| current.root);
            code(match root {
                Some(root) => state.proxy.set_tick_period(root, milliseconds),
                None => Err(Status::BadArgument),
            })
        },
    )?;
    Ok(())
}
