//! What has come in on its way through the filters, with back-pressure.

use std::rc::Rc;

use ngx::ffi::ngx_int_t;

use crate::filter::chain::context::Context;
use crate::filter::chain::response::header::run_headers;
use crate::filter::chain::response::output::{
    forward, refused, send, send_piece, send_unchanged_before,
};
use crate::filter::chain::response::state::{BUFFERED, Trailers};
use crate::filter::chain::response::stop::stopped;
use crate::filter::chain::response::trailers::{has_trailers, run_trailers};
use crate::filter::chain::response::window::{Window, drop_input, next_window, used};
use crate::filter::chain::stage::{Direction, ResponseStage, Stop};
use crate::message::body::{Body, WINDOW};
use crate::nginx::request::Request;
use crate::nginx::{AGAIN, ERROR, OK, buf};

/// Passes what is queued through the filters and on.
pub fn pump(context: &Rc<Context>, request: Request) -> ngx_int_t {
    let rc = match context.stops.check() {
        Ok(()) => pass(context, request),
        Err(stop) => stopped(context, request, stop),
    };
    see_to_pause(context);
    rc
}

/// The filters have been called.
fn see_to_pause(context: &Context) {
    context.check_pause();
    if context.response_is_paused() || context.later.is_set() {
        context.wake.settle(context);
    }
}

fn pass(context: &Rc<Context>, request: Request) -> ngx_int_t {
    let response = &context.response;
    if matches!(response.stage.get(), ResponseStage::HeadersPaused(_)) {
        match let_header_go(context, request) {
            Some(rc) if rc == ERROR || rc > OK => return rc,
            Some(_) => {}
            None if is_cut_off(context, request) => {
                return stopped(context, request, Stop::CutOff);
            }
            None => {}
        }
    }
    if matches!(response.stage.get(), ResponseStage::HeadersPaused(_))
        && let Some(rc) = pass_to_limit(context, request)
    {
        return rc;
    }
    if response.stage.get() == ResponseStage::Discarding {
        return OK;
    }
    let mut rc = OK;
    let flush = response.stage.get() == ResponseStage::Sent && response.queue.get().is_null();
    if flush || is_full(context, request) {
        rc = send(context, request, std::ptr::null_mut());
    }
    pass_rest(context, request, rc)
}

/// Goes on behind a piece that has been passed on with this result.
pub fn go_on(context: &Rc<Context>, request: Request, rc: ngx_int_t) -> ngx_int_t {
    let rc = pass_rest(context, request, rc);
    see_to_pause(context);
    rc
}

fn pass_rest(context: &Rc<Context>, request: Request, mut rc: ngx_int_t) -> ngx_int_t {
    let response = &context.response;
    loop {
        let done = matches!(
            response.stage.get(),
            ResponseStage::Discarding | ResponseStage::Passing
        );
        if rc == ERROR || rc > OK || done {
            return rc;
        }
        // Back-pressure: nothing new is made.
        if is_full(context, request) {
            break;
        }
        let idle = response.queue.get().is_null() && !context.has_held();
        if !idle && !context.has_time(Direction::Response) {
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

/// The header waits for a filter; those that were called before it may see the body, and that one if it has
/// stopped the header alone. `None`: it does not wait any more.
fn pass_to_limit(context: &Rc<Context>, request: Request) -> Option<ngx_int_t> {
    let response = &context.response;
    while context.limit(Direction::Response) > 0 && !context.limit_is_full(Direction::Response) {
        if !context.has_time(Direction::Response) {
            break;
        }
        match step(context, request) {
            Ok(None) => break,
            Ok(Some(rc)) if rc == ERROR || rc > OK => return Some(rc),
            Ok(Some(_)) => {}
            Err(stop) => return Some(stopped(context, request, stop)),
        }
        match let_header_go(context, request) {
            Some(rc) if rc == ERROR || rc > OK => return Some(rc),
            _ if matches!(response.stage.get(), ResponseStage::HeadersPaused(_)) => {}
            _ => return None,
        }
    }
    set_buffered(request, true);
    Some(AGAIN)
}

/// Has the upstream failed, so that the end that a filter waits for never comes?
fn is_cut_off(context: &Context, request: Request) -> bool {
    // SAFETY: queued buffers are valid.
    let end_is_queued =
        || unsafe { buf::iter(context.response.queue.get()).any(|b| buf::ends(b, request)) };
    request.upstream_has_ended()
        && !context.response.is_cut_off()
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

/// The header callbacks behind the filter that the header has waited for, if that has let it go.
pub fn let_header_go(context: &Rc<Context>, request: Request) -> Option<ngx_int_t> {
    let response = &context.response;
    let place = context.paused_header(Direction::Response)?;
    if !context.header_goes_on(Direction::Response) {
        return None;
    }
    response.stage.set(ResponseStage::Headers);
    let rc = run_headers(context, request, place + 1);
    Some(
        match rc > OK && response.stage.get() == ResponseStage::Sent {
            true => refused(context, request, rc),
            false => rc,
        },
    )
}

/// Passes on what has come out of the filters that may see it.
pub fn deliver(
    context: &Rc<Context>,
    request: Request,
    mut piece: Body,
    end: bool,
) -> Result<ngx_int_t, Stop> {
    let direction = Direction::Response;
    let limited = context.limit(direction) < context.count(direction);
    if limited {
        context.wait_at_limit(direction, piece, end)?;
        piece = Body::default();
    }
    // The header goes first.
    if let Some(rc) = let_header_go(context, request)
        && (rc == ERROR || rc > OK)
    {
        return Ok(rc);
    }
    match limited {
        true => Ok(OK),
        false => send_piece(context, request, piece, end, true),
    }
}

/// Passes one piece through the filters and on. `None`: there is none.
fn step(context: &Rc<Context>, request: Request) -> Result<Option<ngx_int_t>, Stop> {
    context.stops.check()?;
    let response = &context.response;
    let waiting = response.trailers.get();
    if let Some(Trailers { place, made: true }) = waiting {
        let index = context.index(Direction::Response, place);
        if context.filters()[index].goes_on(Direction::Response) {
            response.trailers.set(None);
            return run_trailers(context, request, place, true).map(Some);
        }
    }
    if let Some((place, piece, end)) = context.due(Direction::Response) {
        if response.is_cut_off() {
            response.changed.set(true);
            drop_input(context, request);
        }
        return Ok(Some(
            match context.pass_body(Direction::Response, place, piece, end)? {
                Some(piece) => deliver(context, request, piece, end)?,
                None => OK,
            },
        ));
    }
    if let Some(Trailers { place, made: false }) = waiting
        && place < context.limit(Direction::Response)
    {
        response.trailers.set(None);
        return run_trailers(context, request, place, false).map(Some);
    }
    if waiting.is_some() {
        return Ok(None);
    }
    let Some(mut window) = next_window(context, request) else {
        return Ok(None);
    };
    let trailers = window.end && has_trailers(context, request);
    let paused = context.paused_header(Direction::Response).is_some();
    // Trailers wait for all header callbacks.
    if paused && trailers && !context.header_iterates(Direction::Response) {
        return Ok(None);
    }
    let body = std::mem::take(&mut window.body);
    let expected = response.expected.get();
    let left = expected.map(|length| length.saturating_sub(body.len() as u64));
    response.expected.set(left);
    if body.is_empty() && !window.end {
        if paused {
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
    if paused {
        response.changed.set(true);
        let piece = passed.map(|mut piece| piece.own().map(|()| piece));
        used(context, request, &window);
        if trailers {
            let (place, made) = (0, false);
            response.trailers.set(Some(Trailers { place, made }));
        }
        return Ok(Some(match piece {
            Some(Ok(piece)) => deliver(context, request, piece, end)?,
            Some(Err(_)) => return Err(context.io_failure()),
            None => OK,
        }));
    }
    if !trailers {
        return conclude(context, request, window, passed).map(Some);
    }
    // Trailers may have more to add; the end is sent behind them.
    window.end = false;
    let rc = send_changed(context, request, window, passed)?;
    Ok(Some(match rc == ERROR || rc > OK {
        true => rc,
        false => run_trailers(context, request, 0, false)?,
    }))
}

/// Sends what the filters have made of a window at the front of the queue.
pub fn conclude(
    context: &Rc<Context>,
    request: Request,
    window: Window,
    passed: Option<Body>,
) -> Result<ngx_int_t, Stop> {
    match passed {
        Some(piece) if piece.is_untouched() => forward(context, request, window),
        passed => send_changed(context, request, window, passed),
    }
}

fn send_changed(
    context: &Rc<Context>,
    request: Request,
    window: Window,
    passed: Option<Body>,
) -> Result<ngx_int_t, Stop> {
    context.response.changed.set(true);
    let rc = send_unchanged_before(context, request, &window)?;
    if rc == ERROR || rc > OK {
        return Ok(rc);
    }
    // Before it is sent: nginx may call the body filter again from within.
    let piece = passed.map(|mut piece| piece.own().map(|()| piece));
    used(context, request, &window);
    match piece {
        Some(Ok(piece)) => send_piece(context, request, piece, window.end, window.flush),
        Some(Err(_)) => Err(context.io_failure()),
        None => Ok(rc),
    }
}

pub fn set_buffered(request: Request, buffered: bool) {
    // SAFETY: the request is live.
    unsafe {
        let flags = (*request.as_ptr()).buffered() & !BUFFERED;
        (*request.as_ptr()).set_buffered(flags | if buffered { BUFFERED } else { 0 });
    }
}
