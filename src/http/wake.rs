//! Going on with a paused request, from nginx's event loop and not from within a host call.

use std::cell::UnsafeCell;

use ngx::ffi::{
    ngx_delete_posted_event, ngx_event_t, ngx_http_finalize_request, ngx_http_output_filter,
    ngx_http_run_posted_requests, ngx_post_event, ngx_posted_events,
};

use super::context::Context;
use crate::nginx::{ERROR, OK};

/// An event of nginx's that is posted when a pause ends. It stands in a [`Context`], which does
/// not move, and is taken off the queue before that goes.
pub struct Wake(UnsafeCell<ngx_event_t>);

impl Default for Wake {
    fn default() -> Wake {
        // SAFETY: a zeroed event is valid and not posted.
        Wake(UnsafeCell::new(unsafe { std::mem::zeroed() }))
    }
}

impl Wake {
    /// Has the request go on after the current event; `context` is the one that this stands in.
    pub fn post(&self, context: &Context) {
        // SAFETY: nginx's thread is the only one; the event stays where it is while it is posted.
        unsafe {
            let event = self.0.get();
            if let Some(request) = context.request() {
                (*event).data = (&raw const *context).cast_mut().cast();
                (*event).handler = Some(handle);
                (*event).log = (*request.connection()).log;
                if (*event).posted() == 0 {
                    ngx_post_event(event, &raw mut ngx_posted_events);
                }
            }
        }
    }

    /// Takes the event off the queue.
    pub fn cancel(&self) {
        // SAFETY: as in `post`.
        unsafe {
            if (*self.0.get()).posted() != 0 {
                ngx_delete_posted_event(self.0.get());
            }
        }
    }
}

/// Has a paused response pass the filters again, then runs the request's own handler: the phases
/// for a paused request, the writer or the upstream for a response.
unsafe extern "C" fn handle(event: *mut ngx_event_t) {
    crate::guard((), || {
        // SAFETY: the event was posted by a context that has not ended.
        unsafe {
            let context: *const Context = (*event).data.cast_const().cast();
            if let Some(request) = (*context).request() {
                let connection = request.connection();
                let r = request.as_ptr();
                let gone =
                    (*r).done() != 0 || (*(*r).main).blocked() != 0 || (*connection).error() != 0;
                // An upstream's handler passes on nothing where it has nothing new.
                let rc = match !gone && (*context).response_is_paused() {
                    true => ngx_http_output_filter(r, std::ptr::null_mut()),
                    false => OK,
                };
                if rc == ERROR || rc > OK {
                    ngx_http_finalize_request(r, rc);
                } else if let Some(handler) = (*r).write_event_handler {
                    handler(r);
                }
                ngx_http_run_posted_requests(connection);
            }
        }
    });
}
