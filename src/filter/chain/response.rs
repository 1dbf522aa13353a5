//! The response through the filters: nginx's header filter and body filter.
//!
//! While a filter sees the body, the response header is held until the first piece of the body
//! has passed the filters, or nginx flushes what there is (as without `proxy_buffering`): until
//! then a filter can still answer with a local response, and a length that is no longer right can
//! be mended.

pub mod header;
pub mod output;
pub mod pass;
pub mod pass_through;
pub mod state;
pub mod stop;
pub mod trailers;
pub mod window;

use ngx::ffi::{ngx_chain_add_copy, ngx_chain_t, ngx_int_t};

use crate::filter::chain::context::Context;
use crate::filter::chain::context::create::create_for_clone;
use crate::filter::chain::context::store::find;
use crate::filter::chain::give_up::give_up;
use crate::filter::chain::refused;
use crate::filter::chain::response::header::run_headers;
use crate::filter::chain::response::pass::pump;
use crate::filter::chain::response::window::drop_queue;
use crate::filter::chain::stage::{ResponseStage, Stop};
use crate::message::next;
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK, buf};

/// nginx's header filter.
pub fn header_filter(request: Request) -> ngx_int_t {
    let context = match find(request) {
        Some(context) => context,
        None if request.was_refused() => match refused::contexts(request) {
            Some(context) => match context.stops.check() {
                Ok(()) => context,
                Err(stop) => {
                    context.response.stage.set(ResponseStage::Headers);
                    return stop::stopped(&context, request, stop);
                }
            },
            None => return next::header(request),
        },
        None if !request.is_clone() => return next::header(request),
        // The response of a slice, say: filtered like the first one's.
        None => match create_for_clone(request) {
            Ok(Some(context)) => context,
            Ok(None) => return next::header(request),
            Err(()) => return ERROR,
        },
    };
    // An upstream may answer a body that still comes.
    if !context.is_streaming() {
        give_up(&context, request);
    }
    let response = &context.response;
    match response.stage.get() {
        ResponseStage::New if !context.stops.has_failed() => {
            response.stage.set(ResponseStage::Headers);
            response.length.set(request.response_length());
            response.expected.set(request.response_length());
            response.bodiless.set(request.status_is_bodiless());
            if request.status() == 101 && context.incoming.lines.has_made_upgrade() {
                return stop::stopped(&context, request, Stop::CutOff);
            }
            run_headers(&context, request, 0)
        }
        // nginx gives another response than the one that the filters were at, an error page say.
        ResponseStage::HeadersPaused(_)
        | ResponseStage::HeadersHeld
        | ResponseStage::New
        | ResponseStage::Headers => {
            drop_queue(&context, request);
            response.stage.set(ResponseStage::Passing);
            next::header(request)
        }
        // A filter behind this one gives another response while the first piece is sent.
        ResponseStage::Sent if request.filter_was_finalized() => {
            drop_queue(&context, request);
            response.stage.set(ResponseStage::Passing);
            next::header(request)
        }
        ResponseStage::Sent | ResponseStage::Passing | ResponseStage::Discarding => {
            next::header(request)
        }
    }
}

/// nginx's body filter.
pub fn body_filter(request: Request, input: *mut ngx_chain_t) -> ngx_int_t {
    let Some(context) = find(request) else {
        return next::body(request, input);
    };
    let response = &context.response;
    match response.stage.get() {
        ResponseStage::New | ResponseStage::Headers | ResponseStage::Passing => {
            next::body(request, input)
        }
        ResponseStage::HeadersHeld | ResponseStage::Sent if response.is_cut_off() => {
            // SAFETY: nobody reads these buffers any more.
            unsafe { buf::iter(input).for_each(|b| buf::consume(b)) };
            pump(&context, request)
        }
        ResponseStage::Sent
            if response.queue.get().is_null()
                && (response.ended.get() || !context.chain.response_body)
                && !context.has_injected() =>
        {
            next::body(request, input)
        }
        ResponseStage::Discarding => {
            // SAFETY: nobody reads these buffers any more.
            unsafe { buf::iter(input).for_each(|b| buf::consume(b)) };
            next::body(request, std::ptr::null_mut())
        }
        ResponseStage::HeadersPaused(_) | ResponseStage::HeadersHeld | ResponseStage::Sent => {
            if let Some(rc) = pass_through::pass(&context, request, input) {
                return rc;
            }
            match enqueue(&context, request, input) {
                OK => pump(&context, request),
                _ => ERROR,
            }
        }
    }
}

/// A filter, or another context's callback, has asked for the end of a response that the body filter lets
/// through unseen.
pub fn end(request: Request) -> ngx_int_t {
    match find(request) {
        Some(context) => match context.stops.check() {
            Err(stop) => stop::stopped(&context, request, stop),
            Ok(()) => OK,
        },
        None => OK,
    }
}

/// Queues what has come in.
fn enqueue(context: &Context, request: Request, input: *mut ngx_chain_t) -> ngx_int_t {
    let mut queue = context.response.queue.get();
    // SAFETY: the links are from the request's pool.
    let rc = unsafe { ngx_chain_add_copy(request.pool(), &mut queue, input) };
    context.response.queue.set(queue);
    rc
}
