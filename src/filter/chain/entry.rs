//! One request: where nginx calls the module, and what it does then.

use ngx::ffi::{
    ngx_array_push, ngx_array_t, ngx_chain_t, ngx_conf_t, ngx_http_core_main_conf_t,
    ngx_http_handler_pt, ngx_http_phases_NGX_HTTP_ACCESS_PHASE, ngx_http_phases_NGX_HTTP_LOG_PHASE,
    ngx_http_phases_NGX_HTTP_REWRITE_PHASE, ngx_http_request_t, ngx_int_t,
};
use ngx::http::HttpModuleConfExt;

use crate::filter::chain::{context, filter_state, phases, response, upload};
use crate::message::next;
use crate::nginx::guard::on_request;
use crate::nginx::{OK, core_module, variable};

/// Adds the module's handlers to nginx's phases and its filters to nginx's filters.
///
/// # Safety
/// `cf` is the configuration in the postconfiguration step.
pub unsafe fn install(cf: *mut ngx_conf_t) -> Option<()> {
    // SAFETY: by the contract.
    unsafe {
        let core: *mut ngx_http_core_main_conf_t =
            (*cf).http_main_conf_unchecked(core_module())?.as_ptr();
        let phases = &raw mut (*core).phases;
        let push = |phase: u32, first: bool, handler| {
            push_handler(&raw mut (*phases)[phase as usize].handlers, first, handler)
        };
        // The handlers of a phase run from the last to the first, those of the log phase from
        // the first to the last.
        push(ngx_http_phases_NGX_HTTP_REWRITE_PHASE, false, rewrite)?;
        push(ngx_http_phases_NGX_HTTP_REWRITE_PHASE, true, after_rewrite)?;
        push(ngx_http_phases_NGX_HTTP_ACCESS_PHASE, false, access)?;
        push(ngx_http_phases_NGX_HTTP_LOG_PHASE, true, log)?;
        next::install(
            Some(header_filter),
            Some(body_filter),
            Some(request_body_filter),
        );
    }
    Some(())
}

/// Makes the module's variables known.
///
/// # Safety
/// `cf` is the configuration in the preconfiguration step.
pub unsafe fn add_variables(cf: *mut ngx_conf_t) -> Option<()> {
    // SAFETY: by the contract.
    unsafe {
        variable::add_prefix(cf, filter_state::VARIABLE, filter_state::variable)?;
        // `request.id`, which must be the same each time.
        variable::keep(cf, b"request_id")
    }
}

type Handler = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;

/// # Safety
/// `handlers` is an array of phase handlers.
unsafe fn push_handler(handlers: *mut ngx_array_t, first: bool, handler: Handler) -> Option<()> {
    // SAFETY: by the contract; the array has room for one more after the push.
    unsafe {
        if ngx_array_push(handlers).is_null() {
            return None;
        }
        let all: &mut [ngx_http_handler_pt] = (*handlers).as_slice_mut();
        let last = all.len().checked_sub(1)?;
        if first {
            all.copy_within(..last, 1);
        }
        all[if first { 0 } else { last }] = Some(handler);
    }
    Some(())
}

unsafe extern "C" fn rewrite(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: called by nginx; so below.
    unsafe { on_request(r, phases::rewrite) }
}

unsafe extern "C" fn after_rewrite(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: as above.
    unsafe { on_request(r, phases::after_rewrite) }
}

unsafe extern "C" fn access(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: as above.
    unsafe { on_request(r, phases::access) }
}

unsafe extern "C" fn header_filter(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: as above.
    unsafe { on_request(r, response::header_filter) }
}

unsafe extern "C" fn body_filter(r: *mut ngx_http_request_t, input: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: as above.
    unsafe { on_request(r, |request| response::body_filter(request, input)) }
}

unsafe extern "C" fn request_body_filter(
    r: *mut ngx_http_request_t,
    input: *mut ngx_chain_t,
) -> ngx_int_t {
    // SAFETY: as above.
    unsafe { on_request(r, |request| upload::filter::filter(request, input)) }
}

/// The log phase of a main request: its contexts and its subrequests' end while all of it can
/// still be read.
unsafe extern "C" fn log(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: as above.
    unsafe {
        on_request(r, |request| {
            if request.is_main() {
                context::store::all(request.pool()).for_each(|context| context.end());
            }
            OK
        })
    }
}
