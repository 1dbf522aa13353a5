//! The plugin's configuration.

use wasm_runtime::wasmtime::{Caller, Linker, Result};

use crate::error::Refusal;
use crate::imports::ENV;
use crate::kernel::{give, parts};
use crate::services::Services;
use crate::state::State;

pub fn define<S: Services>(linker: &mut Linker<State<S>>) -> Result<()> {
    linker.func_wrap(ENV, "config_get", config_get::<S>)?;
    Ok(())
}

/// The value of a key; 0 where there is none, or an empty one. The key is freed.
fn config_get<S: Services>(mut caller: Caller<'_, State<S>>, key: u64) -> Result<u64> {
    let (memory, state) = parts(&mut caller)?;
    let range = state.kernel.block(memory, key, "a config key")?;
    let name = str::from_utf8(&memory[range]).map_err(|_| Refusal::Utf8("a config key"))?;
    let config = state.settings.config.clone();
    let value = config.get(name);
    state.kernel.blocks.free(memory, key);
    match value {
        Some(value) => give(&mut caller, value.as_bytes()),
        None => Ok(0),
    }
}
