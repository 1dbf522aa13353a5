//! The response header: its callbacks, and sending it on.

use std::rc::Rc;

use ngx::ffi::{ngx_http_weak_etag, ngx_int_t};

use crate::filter::chain::context::Context;
use crate::filter::chain::guest::Callback;
use crate::filter::chain::response::pass::set_buffered;
use crate::filter::chain::response::state::UNSENT;
use crate::filter::chain::response::stop::stopped;
use crate::filter::chain::response::window::drop_queue;
use crate::filter::chain::stage::{Direction, ResponseStage, Stop};
use crate::message::headers::response as headers;
use crate::message::next;
use crate::nginx::log::Level;
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK};

/// Makes the header callbacks from a place of the response's order on.
pub fn run_headers(context: &Rc<Context>, request: Request, from: usize) -> ngx_int_t {
    let response = &context.response;
    let length = response.length.get();
    let bodiless = response.is_bodiless(request);
    let injected = context.has_injected();
    let end = bodiless || length == Some(0) && !injected;
    for place in from..context.count(Direction::Response) {
        let index = context.index(Direction::Response, place);
        if !context.chain.callbacks[index].response_headers() {
            continue;
        }
        let count = headers::count(request);
        let callback = Callback::Headers(Direction::Response, count, end);
        let result = context.callback(Direction::Response, index, callback);
        let action = match result {
            Ok(action) => action,
            Err(stop) => return stopped(context, request, stop),
        };
        match context.header_waits(Direction::Response, index, action, end) {
            false => {}
            // nginx switches to the tunnel at once.
            true if request.status() == 101 => request.log().write(
                Level::Error,
                format_args!("[wasm] a filter's Pause is ignored for the status 101"),
            ),
            true => {
                response.stage.set(ResponseStage::HeadersPaused(place));
                context.watch_instances();
                context.wake.settle(context);
                set_buffered(request, true);
                return OK;
            }
        }
    }
    if response.bodiless.get() {
        keep_bodiless(request);
    } else if request.is_clone() {
        // A slice's header is not sent, but the range filter looks at its length.
        request.set_response_length(length);
    } else if length.is_some() && !end && request.response_length().is_none() {
        // A filter that drops the length is about to change the body.
        if request.is_sliced_behind_start() {
            request.log().write(
                Level::Error,
                format_args!(
                    "[wasm] a filter changes the length of a response of which nginx has asked only for the \
                     slices of a range"
                ),
            );
            return stopped(context, request, Stop::CutOff);
        }
        body_changes(request);
    }
    let seen = context.chain.response_body && !request.wants_range_of_slices();
    // What a filter may have put into it by now.
    let injected = !bodiless && context.has_injected();
    if (end || !seen) && !injected {
        response.ended.set(end);
        return send_headers(context, request);
    }
    // nginx's range filter wants all of several ranges in one buffer.
    if length.is_none_or(|length| length > UNSENT as u64) {
        // SAFETY: the request is live.
        unsafe { (*request.as_ptr()).set_single_range(1) };
    }
    response.stage.set(ResponseStage::HeadersHeld);
    OK
}

/// A response that came without a body has none, be it that a filter has given it a status of one that has: nothing
/// comes of the upstream but what would be no body (the bytes of a tunnel), or nothing.
fn keep_bodiless(request: Request) {
    let upgrade = request.status() != 101 && request.forget_upgrade();
    let bodiless = request.status_is_bodiless();
    if upgrade || !bodiless {
        request.set_response_length((!bodiless).then_some(0));
        request.set_header_only();
    }
}

/// A changed body has no ranges and not the validator of the old one.
pub fn body_changes(request: Request) {
    request.forbid_ranges();
    // SAFETY: the request is live.
    unsafe { ngx_http_weak_etag(request.as_ptr()) };
}

pub fn send_headers(context: &Context, request: Request) -> ngx_int_t {
    // The upstream was asked for a HEAD by a filter, the client asked for more.
    // SAFETY: the request is live.
    if unsafe { (*request.as_ptr()).method_name.as_bytes() } == b"HEAD" && !request.is_head() {
        request.set_response_length(None);
    }
    context.response.stage.set(ResponseStage::Sent);
    // A subrequest's header is not sent; that of a slice has the length of all of them.
    let promised = match request.is_main() {
        true => request.response_length(),
        false if request.is_clone() && request.main_has_length() => context.response.length.get(),
        false => None,
    };
    context.response.promised.set(promised);
    let rc = next::header(request);
    // A content handler that was told so early enough sends no body then.
    // SAFETY: the request is live.
    if rc != ERROR && unsafe { (*request.as_ptr()).header_only() } != 0 {
        context.response.stage.set(ResponseStage::Discarding);
        drop_queue(context, request);
    }
    rc
}
