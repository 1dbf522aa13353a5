//! `wasi:http/types` 0.3, where it differs from wasmtime-wasi-http: statuses.

use http::StatusCode;
use wasmtime::component::{Linker, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi_http::p3::Response;

use super::TYPES;
use crate::state::State;

/// Defines it, over what wasmtime-wasi-http has defined.
pub(crate) fn define(linker: &mut Linker<State>) -> Result<()> {
    linker
        .instance(TYPES)?
        .func_wrap("[method]response.set-status-code", set_status_code)
}

/// Informational responses are the server's.
fn set_status_code(
    mut store: StoreContextMut<'_, State>,
    (response, status): (Resource<Response>, u16),
) -> Result<(Result<(), ()>,)> {
    let response = store.data_mut().table.get_mut(&response)?;
    match StatusCode::from_u16(status) {
        Ok(status) if !status.is_informational() => {
            response.status = status;
            Ok((Ok(()),))
        }
        _ => Ok((Err(()),)),
    }
}
