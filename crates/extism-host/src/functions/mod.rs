//! The functions that guests call in the host, beside the kernel's.

mod config;
pub mod http;
mod log;
mod request;
mod user;
pub mod vars;

use guest_host::{assemblyscript, wasi};
use wasm_runtime::wasmtime::{Linker, Result};

use crate::kernel;
use crate::services::Services;
use crate::state::State;

/// Defines all of them.
pub fn define<S: Services>(linker: &mut Linker<State<S>>) -> Result<()> {
    kernel::define(linker)?;
    config::define(linker)?;
    vars::define(linker)?;
    http::define(linker)?;
    log::define(linker)?;
    user::define(linker)?;
    wasi::define(linker)?;
    assemblyscript::define(linker)
}
