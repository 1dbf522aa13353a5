//! Where nginx calls: the content handler, and the end of reading a request's body.

use ngx::ffi::{
    NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_SPECIAL_RESPONSE, ngx_http_finalize_request,
    ngx_http_read_client_request_body, ngx_http_request_t, ngx_int_t,
};

use crate::conf::handler::Callee;
use crate::conf::location::LocConf;
use crate::handler::run::run;
use crate::handler::service::serve::serve;
use crate::handler::service::spin;
use crate::nginx::DONE;
use crate::nginx::guard::{guard, on_request};
use crate::nginx::request::Request;

/// The content handler of a location with `wasm_handler`.
pub unsafe extern "C" fn handle(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls a content handler with a live request.
    unsafe { on_request(r, answer) }
}

fn answer(request: Request) -> ngx_int_t {
    let handler = LocConf::of(request).handler.as_ref();
    if let Some(spin) = handler.and_then(|handler| handler.spin.as_ref()) {
        return spin::answer(request, spin);
    }
    match handler.and_then(|handler| handler.resolved) {
        Some((module, Callee::Service)) => serve(request, module),
        _ => read_body(request),
    }
}

/// Has nginx read the body first.
fn read_body(request: Request) -> ngx_int_t {
    if LocConf::of(request).handler.is_none() {
        return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    }
    // SAFETY: the request is live, and in its content phase. As in nginx's proxy module, the reference that reading
    // takes is given back when the request is finalized.
    unsafe {
        let rc = ngx_http_read_client_request_body(request.as_ptr(), Some(on_body));
        if rc >= NGX_HTTP_SPECIAL_RESPONSE as ngx_int_t {
            return rc;
        }
    }
    DONE
}

/// All of the body is there.
unsafe extern "C" fn on_body(r: *mut ngx_http_request_t) {
    guard((), || {
        // SAFETY: nginx calls this with the request whose body it has read.
        let Some(request) = (unsafe { Request::new(r) }) else {
            return;
        };
        if let Some(rc) = run(request) {
            // SAFETY: the request is live until it is finalized, and not used after.
            unsafe { ngx_http_finalize_request(r, rc) };
        }
    });
}
