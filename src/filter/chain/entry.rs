//! One request: where nginx calls the module, and what it does then.

use ngx::ffi::{
    ngx_array_push, ngx_array_t, ngx_chain_t, ngx_http_core_main_conf_t, ngx_http_handler_pt,
    ngx_http_phases_NGX_HTTP_ACCESS_PHASE, ngx_http_phases_NGX_HTTP_LOG_PHASE,
    ngx_http_phases_NGX_HTTP_REWRITE_PHASE, ngx_http_request_t, ngx_int_t,
};

use crate::conf::main::ModuleConf;
use crate::filter::chain::chains::Chains;
use crate::filter::chain::resume::HANDLERS;
use crate::filter::chain::upstream::balancer::Balancers;
use crate::filter::chain::{context, filter_state, phases, response, upload};
use crate::message::next;
use crate::nginx::conf::Cf;
use crate::nginx::guard::on_request;
use crate::nginx::{OK, core_module, variable};
use crate::worker::process::Main;

/// Adds the module's handlers to nginx's phases and its filters to nginx's filters; has filters choose servers of
/// upstreams, if one can. In the postconfiguration step.
pub fn install(cf: Cf<'_>, main: &Main) -> Option<()> {
    // SAFETY: nginx's core module has its own main configuration, which nobody else uses now.
    let core = unsafe { cf.main_of::<ngx_http_core_main_conf_t>(core_module())? };
    let mut push = |phase: u32, first: bool, handler| {
        // SAFETY: nginx has made an array for each phase.
        unsafe {
            push_handler(
                &raw mut core.phases[phase as usize].handlers,
                first,
                handler,
            )
        }
    };
    // The handlers of a phase run from the last to the first, those of the log phase from
    // the first to the last.
    push(ngx_http_phases_NGX_HTTP_REWRITE_PHASE, false, rewrite)?;
    push(ngx_http_phases_NGX_HTTP_REWRITE_PHASE, true, after_rewrite)?;
    push(ngx_http_phases_NGX_HTTP_ACCESS_PHASE, false, access)?;
    push(ngx_http_phases_NGX_HTTP_LOG_PHASE, true, log)?;
    // SAFETY: nginx puts its filters together in this step, one module after the other.
    unsafe {
        next::install(
            Some(header_filter),
            Some(body_filter),
            Some(request_body_filter),
        );
    }
    let mut modules = main.conf.modules.iter();
    let chooses = |module: &ModuleConf| {
        let filter = module.guest.filter();
        filter.is_some_and(|program| program.uses_upstream_hosts(&module.vm.capabilities))
    };
    let balancers = match modules.any(chooses) {
        true => Balancers::install(cf),
        false => Balancers::default(),
    };
    main.process.keep(Chains::new(balancers, &HANDLERS));
    Some(())
}

/// Makes the module's variables known. In the preconfiguration step.
pub fn add_variables(cf: Cf<'_>) -> Option<()> {
    variable::add_prefix(cf, filter_state::VARIABLE, filter_state::variable)?;
    // `request.id`, which must be the same each time.
    variable::keep(cf, b"request_id")
}

type Handler = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;

/// # Safety
/// `handlers` is an array of phase handlers.
unsafe fn push_handler(handlers: *mut ngx_array_t, first: bool, handler: Handler) -> Option<()> {
    // SAFETY: `handlers` is an array of phase handlers; the array has room for one more after the push.
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
    // SAFETY: nginx calls this with a live request.
    unsafe { on_request(r, phases::rewrite) }
}

unsafe extern "C" fn after_rewrite(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls this with a live request.
    unsafe { on_request(r, phases::after_rewrite) }
}

unsafe extern "C" fn access(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls this with a live request.
    unsafe { on_request(r, phases::access) }
}

unsafe extern "C" fn header_filter(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls this with a live request.
    unsafe { on_request(r, response::header_filter) }
}

unsafe extern "C" fn body_filter(r: *mut ngx_http_request_t, input: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: nginx calls this with a live request.
    unsafe { on_request(r, |request| response::body_filter(request, input)) }
}

unsafe extern "C" fn request_body_filter(
    r: *mut ngx_http_request_t,
    input: *mut ngx_chain_t,
) -> ngx_int_t {
    // SAFETY: nginx calls this with a live request.
    unsafe { on_request(r, |request| upload::filter::filter(request, input)) }
}

/// The log phase of a main request: its contexts and its subrequests' end while all of it can
/// still be read.
unsafe extern "C" fn log(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls this with a live request.
    unsafe {
        on_request(r, |request| {
            if request.is_main() {
                context::store::all(request.pool()).for_each(|context| context.end());
            }
            OK
        })
    }
}
