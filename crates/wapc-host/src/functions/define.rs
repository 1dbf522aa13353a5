//! All imports, by name.

use guest_host::{Services, assemblyscript, wasi};
use wasm_runtime::wasmtime::{Linker, Result};

use super::{guest, host};
use crate::state::State;

/// The module that the functions are imported from.
pub(crate) const WAPC: &str = "wapc";

/// Defines them all. A guest imports functions that it never calls, so none is left out.
pub(crate) fn define<S: Services + 'static>(linker: &mut Linker<State<S>>) -> Result<()> {
    linker
        .func_wrap(WAPC, "__guest_request", guest::request::<S>)?
        .func_wrap(WAPC, "__guest_response", guest::response::<S>)?
        .func_wrap(WAPC, "__guest_error", guest::error::<S>)?
        .func_wrap(WAPC, "__host_call", host::call::<S>)?
        .func_wrap(WAPC, "__host_response_len", host::response_len::<S>)?
        .func_wrap(WAPC, "__host_response", host::response::<S>)?
        .func_wrap(WAPC, "__host_error_len", host::error_len::<S>)?
        .func_wrap(WAPC, "__host_error", host::error::<S>)?
        .func_wrap(WAPC, "__console_log", host::log::<S>)?;
    assemblyscript::define(linker)?;
    wasi::define(linker)
}
