//! Choosing the location again after a filter has changed `:path` and called `clear_route_cache`.

use ngx::ffi::{
    ngx_http_core_post_rewrite_phase, ngx_http_finalize_request, ngx_http_internal_redirect,
    ngx_http_phase_handler_pt, ngx_int_t, ngx_str_t,
};

use crate::filter::chain::context::Context;
use crate::nginx::request::Request;
use crate::nginx::{DECLINED, DONE};

/// The request's callbacks are done: what the phase handler is to return if the location has to be
/// chosen again. It is chosen by the path alone, so nothing is done if that is what it was.
///
/// In the rewrite phase it goes as with `rewrite ... last`, except that an upstream gets the path
/// as the filter has set it; in the access phase, whose modules must run anew, by an internal
/// redirect. Either counts towards nginx's limit of 10 (`NGX_HTTP_MAX_URI_CHANGES`).
pub fn choose_again(context: &Context, request: Request) -> Option<ngx_int_t> {
    // nginx and filters give a request another URI in other memory of its pool.
    let same = context.route.uri.get().as_bytes() == request.uri();
    if !context.route.cleared.replace(false) || same {
        return None;
    }
    context.route.uri.set(request.uri_in_pool());
    // SAFETY: the request is live and in one of the module's phases.
    unsafe {
        let r = request.as_ptr();
        match post_rewrite(request) {
            Some(index) => {
                (*r).set_uri_changed(1);
                (*r).set_internal(1);
                (*r).set_valid_location(1);
                // The engine goes on at the handler behind this one: the rewrite directives of
                // the old location are not run.
                (*r).phase_handler = index - 1;
                Some(DECLINED)
            }
            None => {
                let (mut uri, mut args): (ngx_str_t, ngx_str_t) = ((*r).uri, (*r).args);
                ngx_http_internal_redirect(r, &mut uri, &mut args);
                ngx_http_finalize_request(r, DONE);
                Some(DONE)
            }
        }
    }
}

/// The place of `ngx_http_core_post_rewrite_phase` in the phase engine, if it is still ahead.
fn post_rewrite(request: Request) -> Option<isize> {
    let wanted: ngx_http_phase_handler_pt = Some(ngx_http_core_post_rewrite_phase);
    // SAFETY: the engine's handlers end with one without a checker.
    unsafe {
        let handlers = (*request.core_main_conf()).phase_engine.handlers;
        let mut index = (*request.as_ptr()).phase_handler;
        while let Some(checker) = (*handlers.offset(index)).checker {
            if wanted.is_some_and(|wanted| std::ptr::fn_addr_eq(wanted, checker)) {
                return Some(index);
            }
            index += 1;
        }
    }
    None
}
