//! When nginx has finished with a request: nothing that a guest asks for is acted on from then on.
//!
//! The contexts of subrequests stay until their main request's log phase, so guests can name them for long
//! after that. A main request's own end is nginx's flag `done`; a subrequest may wait for its turn without it.

use std::ffi::c_void;

use ngx::ffi::{
    NGX_HTTP_CLIENT_CLOSED_REQUEST, NGX_HTTP_CLOSE, NGX_HTTP_CREATED, NGX_HTTP_NO_CONTENT,
    NGX_HTTP_REQUEST_TIME_OUT, NGX_HTTP_SPECIAL_RESPONSE, ngx_http_post_subrequest_t,
    ngx_http_request_t, ngx_int_t,
};

use crate::filter::chain::context::Context;
use crate::filter::chain::context::store::all;
use crate::net::origin::Owner;
use crate::nginx::request::Request;
use crate::nginx::{ERROR, pool};

impl Context {
    /// The request, as long as something can still become of it.
    pub fn active(&self) -> Option<Request> {
        let request = self.request()?;
        (!self.life.finished.get() && !request.is_done()).then_some(request)
    }
}

impl Owner for Context {
    fn request(&self) -> Option<Request> {
        Context::request(self)
    }
}

/// Has the end of a subrequest noted in its context; `None` when memory is out.
pub fn watch(request: Request) -> Option<()> {
    let handler = finalized as unsafe extern "C" fn(_, _, _) -> _;
    // SAFETY: the request is live, and what it gets here is in its pool. nginx only reads what it has for the
    // end of a subrequest.
    unsafe {
        let r = request.as_ptr();
        let earlier = (*r).post_subrequest;
        if let Some(earlier) = earlier.as_ref()
            && earlier
                .handler
                .is_some_and(|known| std::ptr::fn_addr_eq(known, handler))
        {
            return Some(());
        }
        let post: *mut ngx_http_post_subrequest_t = pool::zeroed(request.pool());
        let new = post.as_mut()?;
        new.handler = Some(handler);
        new.data = earlier.cast();
        (*r).post_subrequest = post;
    }
    Some(())
}

/// `ngx_http_finalize_request` calls this for a subrequest, each time; `data` is what it would have called
/// without this module.
unsafe extern "C" fn finalized(
    r: *mut ngx_http_request_t,
    data: *mut c_void,
    rc: ngx_int_t,
) -> ngx_int_t {
    // SAFETY: called by nginx with a live request; `data` is what `watch` has put there.
    unsafe {
        let rc = match data.cast::<ngx_http_post_subrequest_t>().as_ref() {
            Some(earlier) => match earlier.handler {
                Some(handler) => handler(r, earlier.data, rc),
                None => rc,
            },
            None => rc,
        };
        if let Some(request) = Request::new(r) {
            crate::nginx::guard::guard((), || note(request, rc));
        }
        rc
    }
}

/// What nginx does next with this result, step by step as in `ngx_http_finalize_request`.
fn note(request: Request, rc: ngx_int_t) {
    const TERMINATING: [ngx_int_t; 4] = [
        ERROR,
        NGX_HTTP_REQUEST_TIME_OUT as ngx_int_t,
        NGX_HTTP_CLIENT_CLOSED_REQUEST as ngx_int_t,
        NGX_HTTP_CLOSE as ngx_int_t,
    ];
    const SENT: [ngx_int_t; 2] = [
        NGX_HTTP_CREATED as ngx_int_t,
        NGX_HTTP_NO_CONTENT as ngx_int_t,
    ];
    // SAFETY: the request is live, and so is its connection.
    let (failed, more) = unsafe {
        let r = request.as_ptr();
        let failed = (*request.connection()).error() != 0;
        (failed, (*r).buffered() != 0 || !(*r).postponed.is_null())
    };
    let terminates = failed || TERMINATING.contains(&rc);
    // A page for the status comes first, and an end behind that.
    let special = rc >= NGX_HTTP_SPECIAL_RESPONSE as ngx_int_t || SENT.contains(&rc);
    if terminates || !special && !more {
        let own = all(request.pool()).filter(|context| context.request() == Some(request));
        for context in own {
            context.life.finished.set(true);
            context.wake.cancel();
        }
    }
}
