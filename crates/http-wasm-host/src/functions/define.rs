//! All imports, by name.

use guest_host::{assemblyscript, wasi};
use wasm_runtime::wasmtime::{Linker, Result};

use super::{admin, bodies, headers, request, status};
use crate::exchange::Proxy;
use crate::state::State;

/// The module that the functions are imported from.
pub(crate) const HTTP_HANDLER: &str = "http_handler";

/// Defines them all. A guest imports functions that it never calls, so none is left out.
pub(crate) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker
        .func_wrap(HTTP_HANDLER, "enable_features", admin::enable_features::<P>)?
        .func_wrap(HTTP_HANDLER, "get_config", admin::get_config::<P>)?
        .func_wrap(HTTP_HANDLER, "log_enabled", admin::log_enabled::<P>)?
        .func_wrap(HTTP_HANDLER, "log", admin::log::<P>)?
        .func_wrap(HTTP_HANDLER, "get_method", request::get_method::<P>)?
        .func_wrap(HTTP_HANDLER, "set_method", request::set_method::<P>)?
        .func_wrap(HTTP_HANDLER, "get_uri", request::get_uri::<P>)?
        .func_wrap(HTTP_HANDLER, "set_uri", request::set_uri::<P>)?
        .func_wrap(
            HTTP_HANDLER,
            "get_protocol_version",
            request::get_version::<P>,
        )?
        .func_wrap(
            HTTP_HANDLER,
            "get_source_addr",
            request::get_source_addr::<P>,
        )?
        .func_wrap(HTTP_HANDLER, "get_header_names", headers::get_names::<P>)?
        .func_wrap(HTTP_HANDLER, "get_header_values", headers::get_values::<P>)?
        .func_wrap(HTTP_HANDLER, "set_header_value", headers::set_value::<P>)?
        .func_wrap(HTTP_HANDLER, "add_header_value", headers::add_value::<P>)?
        .func_wrap(HTTP_HANDLER, "remove_header", headers::remove::<P>)?
        .func_wrap(HTTP_HANDLER, "read_body", bodies::read::<P>)?
        .func_wrap(HTTP_HANDLER, "write_body", bodies::write::<P>)?
        .func_wrap(HTTP_HANDLER, "get_status_code", status::get::<P>)?
        .func_wrap(HTTP_HANDLER, "set_status_code", status::set::<P>)?;
    assemblyscript::define(linker)?;
    wasi::define(linker)
}
