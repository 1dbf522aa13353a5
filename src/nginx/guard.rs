//! Where nginx calls in: no panic goes back to it, and the module's own entry in nginx's table is known.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ngx::ffi::{ngx_http_request_t, ngx_int_t, ngx_module_t};

use crate::nginx::ERROR;
use crate::nginx::request::Request;

/// Runs what nginx has called; a panic ends here, with `failed` as the result, and is reported on
/// standard error.
pub fn guard<R>(failed: R, call: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(failed)
}

/// Calls `handle` with the request that nginx has called the module with; no panic goes back to nginx.
///
/// # Safety
/// `r` is null or a live request.
pub unsafe fn on_request(
    r: *mut ngx_http_request_t,
    handle: impl FnOnce(Request) -> ngx_int_t,
) -> ngx_int_t {
    // SAFETY: the caller passes a request that lives as long as this call.
    let Some(request) = (unsafe { Request::new(r) }) else {
        return ERROR;
    };
    guard(ERROR, || handle(request))
}

unsafe extern "C" {
    /// Defined where the module's table is (`lib.rs`), which knows all rooms; this one knows none.
    static ngx_http_wasm_module: ngx_module_t;
}

/// The module's entry in nginx's table of modules, to read.
pub fn module() -> &'static ngx_module_t {
    let module = &raw const ngx_http_wasm_module;
    // SAFETY: nginx writes it when it loads the module, before it calls anything in it.
    unsafe { &*module }
}
