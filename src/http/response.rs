//! The response through the filters: nginx's header filter and body filter.
//!
//! While a filter sees the body, the response header is held until the first piece of the body
//! has passed the filters, or nginx flushes what there is (as without `proxy_buffering`): until
//! then a filter can still answer with a local response, and a length that is no longer right can
//! be mended.

mod header;
mod output;
mod stop;
mod trailers;
mod window;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ngx::ffi::{ngx_buf_t, ngx_chain_add_copy, ngx_chain_t, ngx_int_t};

use super::context::{Context, Direction, Stop, find};
use super::next;
use crate::nginx::request::Request;
use crate::nginx::{AGAIN, ERROR, OK, buf};
use header::run_headers;
use output::{forward, refused, send, send_piece, send_unchanged_before};
use stop::stopped;
use trailers::{has_trailers, run_trailers};
pub use window::drop_queue;
use window::{next_window, used};

/// Bytes of a file that a body callback sees at a time.
pub const WINDOW: usize = 64 * 1024;

/// Bytes of a file that pass the filters before they are sent on.
const UNSENT: usize = 8 * WINDOW;

/// Set in `r->buffered` while the filters hold something back. nginx's own filters use the bits
/// 1 (SSI), 2 (sub) and 4 (copy) of the four.
const BUFFERED: u32 = 8;

/// How far the response is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// There are no response headers yet.
    #[default]
    New,
    /// The header callbacks are being made.
    Headers,
    /// The filter at this place paused in its header callback.
    HeadersPaused(usize),
    /// The header callbacks are done; the header waits for the first piece of the body.
    HeadersHeld,
    /// The header has been passed on.
    Sent,
    /// The filters have nothing more to do with this response.
    Passing,
    /// A filter's own response has been sent; what comes from upstream is dropped.
    Discarding,
}

/// A response on its way.
pub struct Response {
    stage: Cell<Stage>,
    /// Buffers that came in and have not yet passed the filters.
    queue: Cell<*mut ngx_chain_t>,
    /// Bytes of the first queued buffer, a file, that have passed the filters.
    passed: Cell<usize>,
    /// Bytes of it that have been sent on; those up to `passed` are unchanged.
    sent: Cell<usize>,
    output: RefCell<buf::Output>,
    /// Bytes of the output's buffers.
    storage: RefCell<Vec<(*mut ngx_buf_t, Vec<u8>)>>,
    /// The end of the body has been passed on, or there is no body.
    ended: Cell<bool>,
    /// Bytes of the body, when the upstream has told.
    length: Cell<Option<u64>>,
    /// Bytes of it that are still to come in.
    expected: Cell<Option<u64>>,
    /// A filter has changed or held some of the body.
    changed: Cell<bool>,
    /// Bytes that the Content-Length which was sent still promises.
    promised: Cell<Option<u64>>,
    /// The filter at this place paused in its trailer callback; the end of the body waits.
    trailers: Cell<Option<usize>>,
}

impl Default for Response {
    fn default() -> Response {
        Response {
            stage: Cell::default(),
            queue: Cell::new(std::ptr::null_mut()),
            passed: Cell::new(0),
            sent: Cell::new(0),
            output: RefCell::new(buf::Output::new(
                std::ptr::from_ref(crate::module()).cast_mut().cast(),
            )),
            storage: RefCell::default(),
            ended: Cell::new(false),
            length: Cell::new(None),
            expected: Cell::new(None),
            changed: Cell::new(false),
            promised: Cell::new(None),
            trailers: Cell::new(None),
        }
    }
}

impl Response {
    pub fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// Are there response headers, of a response that the filters are not done with?
    pub fn is_on_its_way(&self) -> bool {
        matches!(
            self.stage.get(),
            Stage::HeadersPaused(_) | Stage::HeadersHeld | Stage::Sent
        ) && !self.ended.get()
    }

    /// The place of the filter that holds the trailers back.
    pub fn paused_trailers(&self) -> Option<usize> {
        self.trailers.get()
    }

    pub fn trailers_are_paused(&self) -> bool {
        self.trailers.get().is_some()
    }

    /// Has all that was made of it gone out? The request is live.
    pub fn is_sent(&self) -> bool {
        // SAFETY: by the contract.
        unsafe { self.output.borrow().busy() == 0 }
    }

    /// Have the filters got all of the body that has come so far, and not its end?
    pub fn waits_for_input(&self) -> bool {
        matches!(self.stage.get(), Stage::HeadersHeld | Stage::Sent)
            && !self.ended.get()
            && self.queue.get().is_null()
            && !self.trailers_are_paused()
    }
}

/// nginx's header filter.
pub fn header_filter(request: Request) -> ngx_int_t {
    let context = match find(request) {
        Some(context) => context,
        None if !request.is_clone() => return next::header(request),
        // The response of a slice, say: filtered like the first one's.
        None => match Context::of_clone(request) {
            Ok(Some(context)) => context,
            Ok(None) => return next::header(request),
            Err(()) => return ERROR,
        },
    };
    let response = &context.response;
    match response.stage.get() {
        Stage::New if !context.failed.get() => {
            response.stage.set(Stage::Headers);
            response.length.set(request.response_length());
            response.expected.set(request.response_length());
            run_headers(&context, request, 0)
        }
        // nginx gives another response than the one that the filters were at, an error page say.
        Stage::HeadersPaused(_) | Stage::HeadersHeld | Stage::New | Stage::Headers => {
            drop_queue(&context, request);
            response.stage.set(Stage::Passing);
            next::header(request)
        }
        // A filter behind this one gives another response while the first piece is sent.
        Stage::Sent if request.filter_was_finalized() => {
            drop_queue(&context, request);
            response.stage.set(Stage::Passing);
            next::header(request)
        }
        Stage::Sent | Stage::Passing | Stage::Discarding => next::header(request),
    }
}

/// nginx's body filter.
pub fn body_filter(request: Request, input: *mut ngx_chain_t) -> ngx_int_t {
    let Some(context) = find(request) else {
        return next::body(request, input);
    };
    let response = &context.response;
    match response.stage.get() {
        Stage::New | Stage::Headers | Stage::Passing => next::body(request, input),
        Stage::Sent
            if response.queue.get().is_null()
                && (response.ended.get() || !context.chain.response_body) =>
        {
            next::body(request, input)
        }
        Stage::Discarding => {
            // SAFETY: nobody reads these buffers any more.
            unsafe { buf::iter(input).for_each(|b| buf::consume(b)) };
            next::body(request, std::ptr::null_mut())
        }
        Stage::HeadersPaused(_) | Stage::HeadersHeld | Stage::Sent => {
            let mut queue = response.queue.get();
            // SAFETY: the links are from the request's pool.
            let rc = unsafe { ngx_chain_add_copy(request.pool(), &mut queue, input) };
            response.queue.set(queue);
            if rc != OK {
                return ERROR;
            }
            pump(&context, request)
        }
    }
}

/// Passes what is queued through the filters and on.
fn pump(context: &Rc<Context>, request: Request) -> ngx_int_t {
    let rc = match context.check_stop() {
        Ok(()) => pass(context, request),
        Err(stop) => stopped(context, request, stop),
    };
    context.check_pause();
    if context.response_is_paused() {
        context.wake.settle(context);
    }
    rc
}

fn pass(context: &Rc<Context>, request: Request) -> ngx_int_t {
    let response = &context.response;
    if let Stage::HeadersPaused(place) = response.stage.get() {
        let index = context.index(Direction::Response, place);
        if context.filters()[index].goes_on(Direction::Response) {
            response.stage.set(Stage::Headers);
            let rc = run_headers(context, request, place + 1);
            if rc > OK && response.stage.get() == Stage::Sent {
                return refused(context, request, rc);
            }
            if rc == ERROR || rc > OK {
                return rc;
            }
        } else if is_cut_off(context, request) {
            return stopped(context, request, Stop::CutOff);
        }
    }
    if matches!(response.stage.get(), Stage::HeadersPaused(_)) {
        return pass_to_limit(context, request);
    }
    if response.stage.get() == Stage::Discarding {
        return OK;
    }
    let mut rc = OK;
    let flush = response.stage.get() == Stage::Sent && response.queue.get().is_null();
    if flush || is_full(context, request) {
        rc = send(context, request, std::ptr::null_mut());
    }
    loop {
        let done = matches!(response.stage.get(), Stage::Discarding | Stage::Passing);
        if rc == ERROR || rc > OK || done {
            return rc;
        }
        // Back-pressure: nothing new is made.
        if is_full(context, request) {
            break;
        }
        rc = match step(context, request) {
            Ok(None) => break,
            Ok(Some(result)) => result,
            Err(stop) => return stopped(context, request, stop),
        };
    }
    let held = context.response_is_paused();
    let waiting = held || !response.queue.get().is_null() || context.response_waits();
    if held && response.queue.get().is_null() && is_cut_off(context, request) {
        return stopped(context, request, Stop::CutOff);
    }
    set_buffered(request, waiting);
    if waiting { AGAIN } else { rc }
}

/// The header waits for a filter; those that were called before it may see the body.
fn pass_to_limit(context: &Rc<Context>, request: Request) -> ngx_int_t {
    while context.limit(Direction::Response) > 0 && !context.limit_is_full(Direction::Response) {
        match step(context, request) {
            Ok(None) => break,
            Ok(Some(_)) => {}
            Err(stop) => return stopped(context, request, stop),
        }
    }
    set_buffered(request, true);
    AGAIN
}

/// Has the upstream failed, so that the end that a filter waits for never comes?
fn is_cut_off(context: &Context, request: Request) -> bool {
    // SAFETY: queued buffers are valid.
    let end_is_queued =
        || unsafe { buf::iter(context.response.queue.get()).any(|b| buf::ends(b, request)) };
    request.upstream_has_ended()
        && !request.is_header_only()
        && !context.has_response_end()
        && !end_is_queued()
}

/// Do the next filters hold as much as they may? nginx's write filter keeps up to
/// `postpone_output` bytes until more come, so there has to be room beyond that.
fn is_full(context: &Context, request: Request) -> bool {
    // SAFETY: the request and its configuration are live.
    let (busy, postponed) = unsafe {
        let postponed = (*request.core_loc_conf()).postpone_output;
        (context.response.output.borrow().busy(), postponed)
    };
    // A filter's temporary file can be used again when all that lies in it has been sent.
    busy > postponed + 2 * WINDOW || (busy > 0 && context.files_are_full(request))
}

/// Passes one piece through the filters and on. `None`: there is none.
fn step(context: &Rc<Context>, request: Request) -> Result<Option<ngx_int_t>, Stop> {
    context.check_stop()?;
    if let Some(place) = context.response.trailers.get() {
        let index = context.index(Direction::Response, place);
        if context.filters()[index].goes_on(Direction::Response) {
            context.response.trailers.set(None);
            return run_trailers(context, request, place, true).map(Some);
        }
    }
    let limited = context.limit(Direction::Response) < context.count(Direction::Response);
    let released = context.released(Direction::Response);
    if let Some((place, piece, end)) = released.or_else(|| context.arrived(Direction::Response)) {
        return Ok(Some(
            match context.pass_body(Direction::Response, place, piece, end)? {
                Some(piece) if limited => {
                    context.wait_at_limit(Direction::Response, piece, end)?;
                    OK
                }
                Some(piece) => send_piece(context, request, piece, end, true)?,
                None => OK,
            },
        ));
    }
    if context.response.trailers_are_paused() {
        return Ok(None);
    }
    let Some(mut window) = next_window(context, request) else {
        return Ok(None);
    };
    let trailers = window.end && has_trailers(context, request);
    // Trailers wait for all header callbacks.
    if limited && trailers {
        return Ok(None);
    }
    let body = std::mem::take(&mut window.body);
    let expected = context.response.expected.get();
    let left = expected.map(|length| length.saturating_sub(body.len() as u64));
    context.response.expected.set(left);
    if body.is_empty() && !window.end {
        if limited {
            used(context, request, &window);
            return Ok(Some(OK));
        }
        return Ok(Some(forward(context, request, window)?));
    }
    let end = window.end && !trailers;
    // The end alone, with trailers behind it, is told by their callback.
    let passed = match trailers && body.is_empty() {
        true => None,
        false => context.pass_body(Direction::Response, 0, body, end)?,
    };
    let mut rc = match passed {
        Some(piece) if limited => {
            context.response.changed.set(true);
            context.wait_at_limit(Direction::Response, piece, end)?;
            used(context, request, &window);
            OK
        }
        None if limited => {
            context.response.changed.set(true);
            used(context, request, &window);
            OK
        }
        Some(piece) if piece.is_untouched() && !trailers => forward(context, request, window)?,
        passed => {
            context.response.changed.set(true);
            let rc = send_unchanged_before(context, request, &window)?;
            if rc == ERROR || rc > OK {
                return Ok(Some(rc));
            }
            // Before it is sent: nginx may call the body filter again from within.
            let piece = passed.map(|mut piece| piece.own().map(|()| piece));
            used(context, request, &window);
            match piece {
                // Trailers may have more to add; the end is sent behind them.
                Some(Ok(piece)) => send_piece(context, request, piece, end, window.flush)?,
                Some(Err(_)) => return Err(context.io_failure()),
                None => rc,
            }
        }
    };
    if trailers && rc != ERROR && rc <= OK {
        rc = run_trailers(context, request, 0, false)?;
    }
    Ok(Some(rc))
}

fn set_buffered(request: Request, buffered: bool) {
    // SAFETY: the request is live.
    unsafe {
        let flags = (*request.as_ptr()).buffered() & !BUFFERED;
        (*request.as_ptr()).set_buffered(flags | if buffered { BUFFERED } else { 0 });
    }
}
