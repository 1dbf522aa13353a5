//! When the upstream's request begins: with the first piece that has passed all filters. Before that the
//! upstream sees nothing of a request that a filter may still refuse, and the length can still be put right.
//!
//! nginx begins it when it begins to read the body. So it reads as if it were to read all of the body, until a
//! piece goes on. With gRPC, where a server may talk first, nothing is put off.

use ngx::ffi::ngx_http_block_reading;

use crate::conf::main::MainConf;
use crate::filter::chain::context::Context;
use crate::filter::chain::upload::state::Start;
use crate::nginx::request::Request;

impl Start {
    /// nginx begins to read the body.
    pub fn put_off(&self, request: Request) {
        let proxy = MainConf::of(request).and_then(|conf| conf.proxy_of(request));
        // SAFETY: the request is live.
        unsafe {
            let r = request.as_ptr();
            if (*r).request_body_no_buffering() != 0 && proxy.is_some_and(|p| !p.is_duplex()) {
                (*r).set_request_body_no_buffering(0);
                self.references.set((*r).count());
                self.is_put_off.set(true);
            }
        }
    }

    /// A piece of the body goes on, and more is to come.
    pub fn begin(&self, context: &Context, request: Request) {
        if !self.is_put_off.replace(false) {
            return;
        }
        // SAFETY: the request is live.
        unsafe {
            let r = request.as_ptr();
            (*r).set_request_body_no_buffering(1);
            // Behind the content handler, nginx has given its reference back; before, it sees for itself
            // that the body is not to be read as a whole.
            if (*r).count() < self.references.get() {
                self.is_due.set(true);
                context.wake.post(context);
            }
        }
    }

    /// Begins the upstream's request if that is due; the request may be gone then.
    pub fn run(&self, request: Request) -> bool {
        if !self.is_due.replace(false) {
            return false;
        }
        // SAFETY: the request is live, and has read some of its body. The rest is as at the end of
        // `ngx_http_read_client_request_body`.
        unsafe {
            let r = request.as_ptr();
            let Some(body) = (*r).request_body.as_ref() else {
                return false;
            };
            let complete = body.rest == 0 && body.last_saved() != 0;
            (*r).set_request_body_no_buffering(u32::from(!complete));
            (*r).set_reading_body(u32::from(!complete));
            (*r).read_event_handler = Some(ngx_http_block_reading);
            if let Some(handler) = body.post_handler {
                handler(r);
            }
        }
        true
    }
}
