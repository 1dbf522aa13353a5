//! Going on with a paused request, from nginx's event loop.

use ngx::ffi::{
    ngx_http_finalize_request, ngx_http_output_filter, ngx_http_run_posted_requests, ngx_int_t,
};

use crate::filter::chain::context::Context;
use crate::filter::chain::stage::{RequestStage, ResponseStage};
use crate::filter::chain::wake::Handlers;
use crate::filter::chain::{response, upload};
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK};

/// Set where the module is put into nginx's phases, since all of the chain's files are behind it.
pub static HANDLERS: Handlers = Handlers {
    resume: go_on,
    settle,
    expired,
};

fn expired(context: &Context) {
    if context.active().is_none() {
        return;
    }
    if context.waits_for_input() {
        // The filter has all that there is; the upstream has timers of its own.
        context.wake.limit(context);
    } else if context.time_out() {
        go_on(context);
    }
}

fn settle(context: &Context) {
    if let Some(request) = context.request() {
        if waits(context) {
            request.forget_waiting_for_others();
        }
        upload::wake::settle(context, request);
    }
}

/// Has a paused response pass the filters again, then runs the request's own handler: the phases
/// for a paused request, the writer or the upstream for a response. Where nothing waits for a filter the
/// handler is not to be run: it may be what nginx is through with, as the phases that have sent a file.
fn go_on(context: &Context) {
    let Some(request) = context.active() else {
        return;
    };
    // SAFETY: the request is live until its contexts have ended.
    unsafe {
        let connection = request.connection();
        let r = request.as_ptr();
        let gone = (*connection).error() != 0;
        // While a thread reads a file for nginx (`aio`), its filters take nothing new, and say so.
        let blocked = (*(*r).main).blocked() != 0;
        if !gone
            && !blocked
            && (interrupt(context, request) || upload::wake::wake(context, request))
        {
            ngx_http_run_posted_requests(connection);
            return;
        }
        let stops = context.stops.check().is_err();
        let in_request = context.request_is_paused()
            || stops && context.incoming.stage.get() == RequestStage::ReadingBody;
        let stop = stops && context.response.is_on_its_way();
        let in_response = waits(context);
        if !in_request && !in_response && !stop {
            return;
        }
        // An upstream's handler passes on nothing where it has nothing new.
        let rc = match !gone && (stop || in_response) {
            true if stop && context.is_let_through() => match blocked {
                // nginx comes back by itself when it is not blocked any more.
                true => OK,
                false => response::end(request),
            },
            true => ngx_http_output_filter(r, std::ptr::null_mut()),
            false => OK,
        };
        if rc == ERROR || rc > OK {
            request.drop_upstream();
            ngx_http_finalize_request(r, rc);
        } else if let Some(handler) = (*r).write_event_handler {
            handler(r);
        }
        ngx_http_run_posted_requests(connection);
    }
}

/// Does the response wait for a filter, or for its module's turn?
fn waits(context: &Context) -> bool {
    let goes_on = || context.later.is_set() || context.has_injected();
    context.response_is_paused() || context.response.is_on_its_way() && goes_on()
}

/// Ends a request that waits for something else than a filter, an upstream's response say, as another
/// context's callback has asked for. `false`: it did not, or the end comes another way.
fn interrupt(context: &Context, request: Request) -> bool {
    let waits = context.incoming.stage.get() == RequestStage::Done
        && context.response.stage() == ResponseStage::New;
    if !waits {
        return false;
    }
    // SAFETY: the request is live; finalizing is the last thing done with it.
    unsafe {
        let r = request.as_ptr();
        if context.stops.is_answered() && context.stops.exceeded().is_none() {
            // Without an upstream there is nothing that could be taken back: the response is
            // replaced when it comes.
            if request.waits_for_upstream()
                && request.drop_upstream()
                && let Some(reply) = context.stops.take_reply()
            {
                ngx_http_finalize_request(r, reply.respond(request));
                return true;
            }
        } else if let Some(direction) = context.stops.exceeded() {
            if request.waits_for_upstream() && request.drop_upstream() {
                context.stops.forget_exceeded();
                ngx_http_finalize_request(r, direction.over_limit() as ngx_int_t);
                return true;
            }
        } else if context.stops.is_closed() {
            request.drop_upstream();
            ngx_http_finalize_request(r, ERROR);
            return true;
        }
    }
    false
}
