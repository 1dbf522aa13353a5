//! The usual case: what comes in passes the filters as it is, and goes on without being queued.

use std::rc::Rc;

use ngx::ffi::{ngx_chain_t, ngx_int_t};

use crate::filter::chain::context::Context;
use crate::filter::chain::response::enqueue;
use crate::filter::chain::response::output::{BodyChange, hold_off_headers, keep_promise};
use crate::filter::chain::response::pass::{conclude, go_on};
use crate::filter::chain::response::stop::stopped;
use crate::filter::chain::response::trailers::has_trailers;
use crate::filter::chain::response::window::{Source, Window, waits_for_end};
use crate::filter::chain::stage::{Direction, ResponseStage, Stop};
use crate::message::body::WINDOW;
use crate::message::next;
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK, buf};

/// Passes buffers in memory, or a small file, through the filters, and on if they are still what
/// they were. `None`: they have to be queued; no filter has seen them.
pub fn pass(context: &Rc<Context>, request: Request, input: *mut ngx_chain_t) -> Option<ngx_int_t> {
    let response = &context.response;
    let idle = matches!(
        response.stage.get(),
        ResponseStage::HeadersHeld | ResponseStage::Sent
    ) && response.queue.get().is_null()
        && response.output.borrow().is_empty()
        && !response.trailers_are_paused()
        && !context.has_held()
        && context.stops.check().is_ok()
        && context.has_time(Direction::Response);
    if !idle {
        return None;
    }
    let mut window = window(request, input)?;
    let body = std::mem::take(&mut window.body);
    let size = body.len();
    if (size == 0 && !window.end)
        || (window.end && has_trailers(context, request))
        || waits_for_end(context, request, &window, size)
    {
        return None;
    }
    let expected = response.expected.get();
    let left = expected.map(|length| length.saturating_sub(size as u64));
    response.expected.set(left);
    let rc = match context.pass_body(Direction::Response, 0, body, window.end) {
        Ok(Some(piece)) if piece.is_untouched() => {
            match forward(context, request, input, size, window.end) {
                Ok(rc) => rc,
                Err(stop) => stopped(context, request, stop),
            }
        }
        passed => {
            if enqueue(context, request, input) != OK {
                return Some(ERROR);
            }
            if let Source::LastPart(_) = window.source {
                response.passed.set(size);
            }
            match passed.and_then(|passed| conclude(context, request, window, passed)) {
                Ok(rc) => go_on(context, request, rc),
                Err(stop) => stopped(context, request, stop),
            }
        }
    };
    Some(rc)
}

/// All of the input, if the filters see all of it at a time: buffers in memory, or a file as [`next_window`]
/// gives it; and if nothing is behind its end.
///
/// [`next_window`]: crate::filter::chain::response::window::next_window
fn window(request: Request, input: *mut ngx_chain_t) -> Option<Window> {
    let mut window = Window::default();
    let mut count = 0;
    let mut file = false;
    // SAFETY: nginx's buffers are valid until they are passed on; the body borrows them until then.
    unsafe {
        for source in buf::iter(input) {
            let size = buf::size(source);
            if window.end || (file && size > 0) {
                return None;
            }
            if !buf::in_memory(source) && size > 0 {
                if count > 0 || size > WINDOW {
                    return None;
                }
                file = true;
            }
            window.body.push(source, 0, usize::MAX);
            window.flush |= (*source).flush() != 0;
            window.end = buf::ends(source, request);
            count += 1;
        }
    }
    window.source = match file {
        true => Source::LastPart(count),
        false => Source::Buffers(count),
    };
    Some(window)
}

/// Passes the input on.
fn forward(
    context: &Rc<Context>,
    request: Request,
    input: *mut ngx_chain_t,
    size: usize,
    end: bool,
) -> Result<ngx_int_t, Stop> {
    let response = &context.response;
    let changed = response
        .changed
        .get()
        .then_some(BodyChange { length: None });
    let rc = hold_off_headers(context, request, changed, end);
    if rc == ERROR || rc > OK || response.stage.get() != ResponseStage::Sent {
        // SAFETY: nobody reads these buffers any more.
        unsafe { buf::iter(input).for_each(|buf| buf::consume(buf)) };
        return Ok(rc);
    }
    keep_promise(context, request, size, end)?;
    if end {
        response.ended.set(true);
    }
    Ok(next::body(request, input))
}
