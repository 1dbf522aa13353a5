//! Where contexts are kept: in the request's pool, and in the module's slot.

use std::ffi::c_void;
use std::rc::Rc;

use ngx::ffi::{ngx_pool_cleanup_t, ngx_pool_t};

use crate::filter::chain::context::Context;
use crate::filter::chain::filter::Filter;
use crate::filter::chain::response;
use crate::nginx::pool;
use crate::nginx::request::Request;

/// Stores the context in the request, to be dropped with its pool, and in the module's slot.
pub fn attach(request: Request, context: &Rc<Context>) -> Option<()> {
    keep(request, context)?;
    let data = Rc::as_ptr(context).cast_mut();
    request.set_module_ctx(crate::nginx::guard::module(), data);
    Some(())
}

/// Stores the context in the request, to be dropped with its pool. `None` when memory is out.
pub fn keep(request: Request, context: &Rc<Context>) -> Option<()> {
    let data = Rc::into_raw(context.clone());
    // SAFETY: `release` takes this reference back when the pool goes, once.
    unsafe {
        if pool::on_destroy(request.pool(), release, data.cast_mut().cast()).is_null() {
            drop(Rc::from_raw(data));
            return None;
        }
    }
    Some(())
}

/// Pool clean-up: drops the pool's reference. The log phase has ended the contexts; should it
/// not have run, they end here without a request, whose memory is on its way out.
unsafe extern "C" fn release(data: *mut c_void) {
    crate::nginx::guard::guard((), || {
        // SAFETY: `data` is the reference that `attach` gave to the pool.
        let context = unsafe { Rc::from_raw(data.cast::<Context>()) };
        if context.life.request.take().is_some() {
            context.wake.cancel();
            context.later.cancel();
            for filter in context.filters() {
                filter.finish_without_log();
            }
            context
                .filters()
                .iter()
                .filter_map(Filter::guest)
                .for_each(|guest| guest.request_ended());
        }
    });
}

/// The request's context that has not ended and that nginx's phases make the callbacks of, found again where nginx has cleared the module's
/// slot.
pub fn find(request: Request) -> Option<Rc<Context>> {
    let data: *const Context = request.module_ctx(crate::nginx::guard::module());
    if !data.is_null() {
        // SAFETY: the slot holds what `attach` put there, and the pool its reference.
        let context = unsafe {
            Rc::increment_strong_count(data);
            Rc::from_raw(data)
        };
        return context.request().is_some().then_some(context);
    }
    if !request.contexts_were_cleared() {
        return None;
    }
    let mut contexts = all(request.pool()).filter(|context| context.driver.is_none());
    let context = contexts.find(|context| context.request() == Some(request))?;
    request.set_module_ctx(
        crate::nginx::guard::module(),
        Rc::as_ptr(&context).cast_mut(),
    );
    context.route.moved.set(true);
    Some(context)
}

/// Looks at the context in the module's slot, which may have ended; `None`: there is none.
#[inline]
pub fn look_at<R>(request: Request, look: impl FnOnce(&Context) -> R) -> Option<R> {
    let data: *const Context = request.module_ctx(crate::nginx::guard::module());
    // SAFETY: the slot holds what `attach` put there, and the pool its reference.
    unsafe { data.as_ref() }.map(look)
}

/// Ends the contexts of a request before it gets others, or none.
pub fn detach(request: Request, context: &Context) {
    context.end();
    response::window::drop_queue(context, request);
    request.set_module_ctx::<c_void>(crate::nginx::guard::module(), std::ptr::null_mut());
}

/// The contexts of a main request and of its subrequests, which share its pool.
pub fn all(pool: *mut ngx_pool_t) -> impl Iterator<Item = Rc<Context>> {
    // SAFETY: clean-ups live as long as the pool; one with our handler holds a context.
    let mut next: *mut ngx_pool_cleanup_t = unsafe { (*pool).cleanup };
    std::iter::from_fn(move || {
        loop {
            // SAFETY: clean-ups live as long as the pool; one with our handler holds a context.
            unsafe {
                let cleanup = next.as_ref()?;
                next = cleanup.next;
                let ours = cleanup
                    .handler
                    .is_some_and(|h| std::ptr::fn_addr_eq(h, release as unsafe extern "C" fn(_)));
                if ours {
                    let data: *const Context = cleanup.data.cast_const().cast();
                    Rc::increment_strong_count(data);
                    return Some(Rc::from_raw(data));
                }
            }
        }
    })
}
