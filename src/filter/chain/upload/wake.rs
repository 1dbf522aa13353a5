//! A body on its way that goes on behind a pause, or that filters end the request of.

use ngx::ffi::{ngx_del_timer, ngx_http_finalize_request};

use crate::filter::chain::context::Context;
use crate::filter::chain::context::store::find;
use crate::filter::chain::give_up::stopped;
use crate::filter::chain::stage::{RequestStage, ResponseStage};
use crate::nginx::ERROR;
use crate::nginx::log::Level;
use crate::nginx::request::Request;

/// Goes on with a body that nginx reads. `true`: the request may be gone.
pub fn wake(context: &Context, request: Request) -> bool {
    if let Some(upload) = context.incoming.upload.get()
        && context.stops.check().is_ok()
    {
        let kept = find(request);
        if upload.start.run(request) && kept.is_none_or(|kept| kept.request().is_none()) {
            return true;
        }
    }
    if !context.is_streaming() {
        return false;
    }
    if context.stops.check().is_err() {
        return end(context, request);
    }
    if !context.upload_may_go_on() {
        return false;
    }
    // The context's event runs: it has a reference, but for the request's end.
    let kept = find(request);
    // SAFETY: the request is live. Whoever reads its body asks the filters for what they let go:
    // nginx's upstream, or its reader; other handlers do nothing here.
    unsafe {
        if let Some(handler) = (*request.as_ptr()).read_event_handler {
            handler(request.as_ptr());
        }
    }
    kept.is_none_or(|context| context.request().is_none())
}

/// Ends the request as a filter has asked for, or for one's sake. `false`: the response sees to it.
fn end(context: &Context, request: Request) -> bool {
    match context.response.stage() {
        ResponseStage::New => {
            if let Err(stop) = context.stops.check() {
                request.drop_upstream();
                stopped(context, request, stop);
            }
            true
        }
        ResponseStage::Sent if !context.response.has_ended() => {
            request.log().write(
                Level::Error,
                format_args!(
                    "[wasm] a filter ended a request whose response headers were already sent; the \
                     connection is closed"
                ),
            );
            context.incoming.stage.set(RequestStage::Done);
            request.drop_upstream();
            // SAFETY: the request is live; this is the last thing done with it.
            unsafe { ngx_http_finalize_request(request.as_ptr(), ERROR) };
            true
        }
        _ => false,
    }
}

/// nginx reads no more of the body, and forgets what has come of it. A connection whose next byte is not that of a
/// request is closed behind the response.
pub fn leave(request: Request) {
    // SAFETY: the request is live.
    let complete = unsafe {
        let body = (*request.as_ptr()).request_body.as_ref();
        body.is_none_or(|body| {
            let pipelined = body.buf.as_ref().is_some_and(|buf| buf.pos != buf.last);
            body.rest == 0 && !pipelined
        })
    };
    request.leave_body();
    // SAFETY: the request is live.
    unsafe {
        let r = request.as_ptr();
        (*r).set_reading_body(u32::from(!complete));
        if !complete {
            (*r).set_keepalive(0);
            (*r).set_lingering_close(1);
        }
    }
}

/// All that the client has to send has come: its timer is not to run.
pub fn settle(context: &Context, request: Request) {
    let done = context.is_streaming()
        && context
            .incoming
            .upload
            .get()
            .is_some_and(|upload| upload.has_all());
    if !done {
        return;
    }
    // SAFETY: the live request's connection.
    unsafe {
        let read = (*request.connection()).read;
        if (*read).timer_set() != 0 {
            ngx_del_timer(read);
        }
    }
}
