//! The interfaces of Spin that are offered, and those of WASI that Spin offers beside them.
//!
//! Each is defined twice: as functions that the guest waits in (up to Spin 3, `fermyon:spin@2.0.0`), and as asynchronous ones
//! (from Spin 4 on, `spin:…@3.0.0`).

pub(crate) mod define;
pub(crate) mod key_value;
pub(crate) mod redis;
pub(crate) mod variables;
pub(crate) mod wasi_key_value;

use wasmtime::Result;
use wasmtime::component::Linker;

use crate::state::State;

/// What guests can import of them.
pub(crate) const OFFERED: &[&str] = &[
    key_value::BLOCKING,
    key_value::ASYNC,
    wasi_key_value::STORE,
    wasi_key_value::ATOMICS,
    wasi_key_value::BATCH,
    variables::BLOCKING,
    variables::ASYNC,
    variables::CONFIG,
    redis::BLOCKING,
    redis::ASYNC,
];

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    key_value::add_to_linker(linker)?;
    wasi_key_value::add_to_linker(linker)?;
    variables::add_to_linker(linker)?;
    redis::add_to_linker(linker)
}

#[cfg(test)]
mod tests {
    use wasm_runtime::wasmtime::component::Component;
    use wasm_runtime::wasmtime::{Config, Engine};

    use crate::linker;

    #[test]
    fn all_types_are_those_of_the_interfaces() {
        let mut config = Config::new();
        config.wasm_component_model_async(true);
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, include_str!("interfaces.wat")).unwrap();
        let linker = linker::new(&engine).unwrap();
        linker.instantiate_pre(&component).map(drop).unwrap();
    }
}
