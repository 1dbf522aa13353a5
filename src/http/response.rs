//! The response through the filters: nginx's header filter and body filter.
//!
//! While a filter sees the body, the response header is held until the first piece of the body
//! has passed the filters, or nginx flushes what there is (as without `proxy_buffering`): until
//! then a filter can still answer with a local response, and a length that is no longer right can
//! be mended.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ngx::ffi::{
    ngx_buf_t, ngx_chain_add_copy, ngx_chain_t, ngx_http_filter_finalize_request,
    ngx_http_weak_etag, ngx_int_t,
};

use super::body::{Body, Part};
use super::context::{Context, Direction, Stop, find};
use super::headers::response as headers;
use super::local::LocalReply;
use super::next;
use crate::nginx::log::Level;
use crate::nginx::request::Request;
use crate::nginx::{AGAIN, ERROR, OK, buf};

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

    /// Have the filters got all of the body that has come so far, and not its end?
    pub fn waits_for_input(&self) -> bool {
        matches!(self.stage.get(), Stage::HeadersHeld | Stage::Sent)
            && !self.ended.get()
            && self.queue.get().is_null()
            && !self.trailers_are_paused()
    }
}

/// What the body callbacks see at a time: whole buffers, or part of a file.
struct Window {
    body: Body,
    end: bool,
    flush: bool,
    source: Source,
}

enum Source {
    /// The first buffers of the queue, so many.
    Buffers(usize),
    /// Part of the queue's first buffer, a file.
    Part,
    /// The last part of the queue's first buffer, a file, and buffers without bytes behind it:
    /// so many in all.
    LastPart(usize),
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

/// Makes the header callbacks from a place of the response's order on.
fn run_headers(context: &Rc<Context>, request: Request, from: usize) -> ngx_int_t {
    let response = &context.response;
    let length = response.length.get();
    let end = length == Some(0) || request.response_is_bodiless();
    for place in from..context.count(Direction::Response) {
        let index = context.index(Direction::Response, place);
        if !context.chain.callbacks[index].response_headers() {
            continue;
        }
        let mut count = 0;
        headers::visit(request, &mut |_, _| count += 1);
        let result = context.callback(Direction::Response, index, |vm, id| {
            vm.on_response_headers(id, count, end)
        });
        match result {
            Ok(true) => {}
            // nginx switches to the tunnel at once.
            Ok(false) if request.status() == 101 => request.log().write(
                Level::Error,
                format_args!("[wasm] a filter's Pause is ignored for the status 101"),
            ),
            Ok(false) => {
                response.stage.set(Stage::HeadersPaused(place));
                context.watch_instances();
                context.wake.settle(context);
                set_buffered(request, true);
                return OK;
            }
            Err(stop) => return stopped(context, request, stop),
        }
    }
    // The length is that of the body, whatever a filter sets; that of a changed body is put in
    // later. A filter that drops the length is about to change the body.
    match request.response_length() {
        Some(_) => request.set_response_length(length),
        None if length.is_some() && !end => body_changes(request),
        None => {}
    }
    if end || !context.chain.response_body {
        response.ended.set(end);
        return send_headers(context, request);
    }
    // nginx's range filter wants all of several ranges in one buffer.
    if length.is_none_or(|length| length > UNSENT as u64) {
        // SAFETY: the request is live.
        unsafe { (*request.as_ptr()).set_single_range(1) };
    }
    response.stage.set(Stage::HeadersHeld);
    OK
}

/// A changed body has no ranges and not the validator of the old one.
fn body_changes(request: Request) {
    request.forbid_ranges();
    // SAFETY: the request is live.
    unsafe { ngx_http_weak_etag(request.as_ptr()) };
}

fn send_headers(context: &Context, request: Request) -> ngx_int_t {
    // The upstream was asked for a HEAD by a filter, the client asked for more.
    // SAFETY: the request is live.
    if unsafe { (*request.as_ptr()).method_name.as_bytes() } == b"HEAD" && !request.is_head() {
        request.set_response_length(None);
    }
    context.response.stage.set(Stage::Sent);
    // A subrequest's header is not sent.
    let promised = request.response_length().filter(|_| request.is_main());
    context.response.promised.set(promised);
    let rc = next::header(request);
    // A content handler that was told so early enough sends no body then.
    // SAFETY: the request is live.
    if rc != ERROR && unsafe { (*request.as_ptr()).header_only() } != 0 {
        context.response.stage.set(Stage::Discarding);
        drop_queue(context, request);
    }
    rc
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
        if context.filters()[index].response.resume.replace(false) {
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
    unsafe {
        let postponed = (*request.core_loc_conf()).postpone_output;
        context.response.output.borrow().busy() > postponed + 2 * WINDOW
    }
}

/// Passes one piece through the filters and on. `None`: there is none.
fn step(context: &Rc<Context>, request: Request) -> Result<Option<ngx_int_t>, Stop> {
    context.check_stop()?;
    if let Some(place) = context.response.trailers.get() {
        let index = context.index(Direction::Response, place);
        if context.filters()[index].response.resume.replace(false) {
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

/// Are there response trailers, and a filter that sees them?
fn has_trailers(context: &Context, request: Request) -> bool {
    let mut any = false;
    headers::trailers::visit(request, &mut |_, _| any = true);
    any && context
        .chain
        .callbacks
        .iter()
        .any(|c| c.response_trailers())
}

/// Makes the trailer callbacks from a place of the response's order on; with `made`, the first of
/// them has been made. What a filter held of the body goes on behind its callback.
fn run_trailers(
    context: &Rc<Context>,
    request: Request,
    from: usize,
    made: bool,
) -> Result<ngx_int_t, Stop> {
    for place in from..context.count(Direction::Response) {
        let index = context.index(Direction::Response, place);
        let made = made && place == from;
        if context.chain.callbacks[index].response_trailers() && !made {
            let mut count = 0;
            headers::trailers::visit(request, &mut |_, _| count += 1);
            let go_on = context.callback(Direction::Response, index, |vm, id| {
                vm.on_response_trailers(id, count)
            })?;
            if !go_on {
                context.response.trailers.set(Some(place));
                context.watch_instances();
                return Ok(OK);
            }
        }
        let half = &context.filters()[index].response;
        if half.held.take().is_some() {
            let piece = half.body.take().unwrap_or_default();
            if let Some(piece) = context.pass_body(Direction::Response, place + 1, piece, false)? {
                let rc = send_piece(context, request, piece, false, false)?;
                if rc == ERROR || rc > OK {
                    return Ok(rc);
                }
            }
        }
    }
    send_piece(context, request, Body::default(), true, false)
}

/// The next bytes of the queue: all buffers up to the next file, or part of a file.
fn next_window(context: &Context, request: Request) -> Option<Window> {
    let response = &context.response;
    let mut window = Window {
        body: Body::default(),
        end: false,
        flush: false,
        source: Source::Buffers(0),
    };
    let mut count = 0;
    // SAFETY: queued buffers are valid until they are used up; the body borrows them until the
    // window is dealt with.
    unsafe {
        for source in buf::iter(response.queue.get()) {
            let size = buf::size(source);
            if !buf::in_memory(source) && size > 0 {
                if count == 0 {
                    let passed = response.passed.get();
                    window.body.push(source, passed, WINDOW);
                    let upto = passed + window.body.len();
                    if upto < size {
                        window.source = Source::Part;
                        response.passed.set(upto);
                        return Some(window);
                    }
                    count = 1;
                    window.flush = (*source).flush() != 0;
                    window.end = buf::ends(source, request);
                    window.source = Source::LastPart(count);
                    if window.end {
                        break;
                    }
                    continue;
                }
                break;
            }
            if matches!(window.source, Source::LastPart(_)) && size > 0 {
                break;
            }
            window.body.push(source, 0, usize::MAX);
            window.flush |= (*source).flush() != 0;
            count += 1;
            if buf::ends(source, request) {
                window.end = true;
                break;
            }
        }
    }
    if count == 0 {
        return None;
    }
    // From an upstream, the end follows the last byte at once, in a buffer of its own: filters
    // get the two together, and the length that they make of the body is known. (Without
    // `proxy_buffering`, nginx gives the end only when the bytes have been used up.)
    let complete = response.expected.get() == Some(window.body.len() as u64);
    let complete = complete && context.chain.response_body;
    if complete && !window.end && !window.flush && request.buffered_upstream_is_done() {
        return None;
    }
    window.source = match window.source {
        Source::LastPart(_) => {
            response
                .passed
                .set(response.passed.get() + window.body.len());
            Source::LastPart(count)
        }
        _ => Source::Buffers(count),
    };
    Some(window)
}

/// Passes a window on in the buffers that it came in.
fn forward(context: &Rc<Context>, request: Request, window: Window) -> Result<ngx_int_t, Stop> {
    let response = &context.response;
    let held = context.holds_response_body();
    if held && !window.end {
        // A flush behind bytes that are held back.
        used(context, request, &window);
        return Ok(OK);
    }
    let count = match window.source {
        Source::Part if response.passed.get() - response.sent.get() < UNSENT => return Ok(OK),
        Source::Part => return send_file_part(context, request, response.passed.get(), None),
        Source::LastPart(_) if response.sent.get() > 0 => {
            let rc = send_file_part(context, request, response.passed.get(), Some(&window))?;
            used(context, request, &window);
            return Ok(rc);
        }
        Source::LastPart(count) | Source::Buffers(count) => count,
    };
    response.passed.set(0);
    let changed = response.changed.get().then_some(None);
    let rc = hold_off_headers(context, request, changed, window.end);
    if rc == ERROR || rc > OK || response.stage.get() != Stage::Sent {
        return Ok(rc);
    }
    let mut size = 0;
    let mut first = std::ptr::null_mut();
    let mut queue = response.queue.get();
    // SAFETY: the links are ours, from the request's pool; the buffers go on as they came.
    unsafe {
        let mut last: *mut *mut ngx_chain_t = &mut first;
        for _ in 0..count {
            let Some(link) = queue.as_mut() else { break };
            size += buf::size(link.buf);
            queue = link.next;
            *last = link;
            last = &mut link.next;
        }
        *last = std::ptr::null_mut();
    }
    response.queue.set(queue);
    keep_promise(context, request, size, window.end)?;
    if window.end {
        response.ended.set(true);
    }
    Ok(send(context, request, first))
}

/// Takes a window off the queue whose bytes went on elsewhere, or nowhere.
fn used(context: &Context, request: Request, window: &Window) {
    let response = &context.response;
    let count = match window.source {
        Source::Part => {
            response.sent.set(response.passed.get());
            return;
        }
        Source::LastPart(count) | Source::Buffers(count) => count,
    };
    response.passed.set(0);
    response.sent.set(0);
    let mut queue = response.queue.get();
    for _ in 0..count {
        // SAFETY: the links are ours; the bytes were copied or dropped.
        unsafe {
            if let Some(buf) = buf::pop(request.pool(), &mut queue) {
                buf::consume(buf);
            }
        }
    }
    response.queue.set(queue);
}

/// Drops what is queued or held back.
pub fn drop_queue(context: &Context, request: Request) {
    context.response.passed.set(0);
    context.response.sent.set(0);
    context.response.trailers.set(None);
    set_buffered(request, false);
    let mut queue = context.response.queue.replace(std::ptr::null_mut());
    // SAFETY: as in `used`.
    unsafe {
        while let Some(buf) = buf::pop(request.pool(), &mut queue) {
            buf::consume(buf);
        }
    }
    context.drop_response_body();
}

/// Sends the unchanged part of a file that lies before this window.
fn send_unchanged_before(
    context: &Rc<Context>,
    request: Request,
    window: &Window,
) -> Result<ngx_int_t, Stop> {
    let response = &context.response;
    if let Source::Buffers(_) = window.source {
        return Ok(OK);
    }
    // SAFETY: the queue's first buffer is the file that the window is part of.
    let size = unsafe {
        response
            .queue
            .get()
            .as_ref()
            .map_or(0, |link| buf::size(link.buf))
    };
    let start = response.passed.get().saturating_sub(1) / WINDOW * WINDOW;
    let start = start.min(size);
    match start > response.sent.get() {
        true => send_file_part(context, request, start, None),
        false => Ok(OK),
    }
}

/// Sends the queue's first buffer, a file, from what was sent up to `upto`, with the flags of
/// `last`.
fn send_file_part(
    context: &Rc<Context>,
    request: Request,
    upto: usize,
    last: Option<&Window>,
) -> Result<ngx_int_t, Stop> {
    let response = &context.response;
    let from = response.sent.get();
    let end = last.is_some_and(|window| window.end);
    let changed = response.changed.get().then_some(None);
    let rc = hold_off_headers(context, request, changed, end);
    if rc == ERROR || rc > OK || response.stage.get() != Stage::Sent {
        return Ok(rc);
    }
    keep_promise(context, request, upto - from, end)?;
    // SAFETY: the file stays open as long as the request; the new buffer is ours.
    let link = unsafe {
        let link = response.output.borrow_mut().fresh(request.pool());
        let source = response.queue.get();
        if link.is_null() || source.is_null() {
            return Err(Stop::Failed);
        }
        let source = (*source).buf;
        let part = (*link).buf;
        (*part).set_in_file(1);
        (*part).file = (*source).file;
        (*part).file_pos = (*source).file_pos + from as i64;
        (*part).file_last = (*source).file_pos + upto as i64;
        finish_buffer(part, request, end, last.is_some_and(|window| window.flush));
        link
    };
    response.sent.set(upto);
    if end {
        response.ended.set(true);
    }
    Ok(send(context, request, link))
}

/// Sends a piece that a filter has changed or held.
fn send_piece(
    context: &Rc<Context>,
    request: Request,
    piece: Body,
    end: bool,
    flush: bool,
) -> Result<ngx_int_t, Stop> {
    let response = &context.response;
    let size = piece.len();
    if size == 0 && !end {
        return Ok(OK);
    }
    let rc = hold_off_headers(context, request, Some(end.then_some(size)), end);
    if rc == ERROR || rc > OK || response.stage.get() != Stage::Sent {
        return Ok(rc);
    }
    let mut parts = piece.into_parts().map_err(|_| context.io_failure())?;
    keep_promise(context, request, size, end)?;
    if parts.is_empty() {
        parts.push(Part::Bytes(Vec::new()));
    }
    let last = parts.len() - 1;
    let mut first = std::ptr::null_mut();
    let mut next: *mut *mut ngx_chain_t = &mut first;
    for (number, part) in parts.into_iter().enumerate() {
        // SAFETY: the new buffers are ours; the bytes of each are kept in `storage` until it is
        // used up, and a file as long as the request.
        unsafe {
            let link = response.output.borrow_mut().fresh(request.pool());
            if link.is_null() {
                return Err(Stop::Failed);
            }
            let buf = (*link).buf;
            match part {
                Part::Bytes(bytes) if bytes.is_empty() => {}
                Part::Bytes(bytes) => {
                    (*buf).pos = bytes.as_ptr().cast_mut();
                    (*buf).last = (*buf).pos.add(bytes.len());
                    (*buf).start = (*buf).pos;
                    (*buf).end = (*buf).last;
                    (*buf).set_temporary(1);
                    response.storage.borrow_mut().push((buf, bytes));
                }
                Part::File { file, offset, len } => {
                    (*buf).file = file;
                    (*buf).file_pos = offset as i64;
                    (*buf).file_last = (offset + len as u64) as i64;
                    (*buf).set_in_file(1);
                }
            }
            if number == last {
                finish_buffer(buf, request, end, flush);
            }
            *next = link;
            next = &mut (*link).next;
        }
    }
    if end {
        response.ended.set(true);
    }
    Ok(send(context, request, first))
}

/// Sets the flags of a buffer of ours.
///
/// # Safety
/// `part` is valid.
unsafe fn finish_buffer(part: *mut ngx_buf_t, request: Request, end: bool, flush: bool) {
    // SAFETY: by the contract.
    unsafe {
        (*part).set_flush(u32::from(flush));
        if end {
            (*part).set_last_buf(u32::from(request.is_main()));
            (*part).set_last_in_chain(1);
            (*part).set_sync(u32::from(buf::size(part) == 0 && !request.is_main()));
        }
    }
}

/// Sends the header if it is still held. `changed` is there when the body is not what the
/// upstream sent, with the new length if that is all of it.
fn hold_off_headers(
    context: &Rc<Context>,
    request: Request,
    changed: Option<Option<usize>>,
    end: bool,
) -> ngx_int_t {
    if context.response.stage.get() != Stage::HeadersHeld {
        return OK;
    }
    if let Some(length) = changed {
        if request.response_length().is_some() {
            request.set_response_length(length.filter(|_| end).map(|length| length as u64));
        }
        body_changes(request);
    }
    let rc = send_headers(context, request);
    if rc > OK {
        return refused(context, request, rc);
    }
    rc
}

/// The next filters have refused the header with a status (416, say): the response is nginx's
/// own page for it.
fn refused(context: &Context, request: Request, status: ngx_int_t) -> ngx_int_t {
    context.response.stage.set(Stage::Passing);
    drop_queue(context, request);
    // A content handler finalizes the request with the status. nginx's upstream passes over it
    // once it has sent the header, as it thinks that it has.
    // SAFETY: the request is live.
    unsafe {
        let r = request.as_ptr();
        match !(*r).upstream.is_null() && !request.is_cached() {
            true => ngx_http_filter_finalize_request(r, std::ptr::null_mut(), status),
            false => status,
        }
    }
}

/// Counts bytes against the Content-Length that was sent; one that a changed body does not keep
/// would let the client take the next response for this one's rest, or wait for it.
fn keep_promise(context: &Context, request: Request, len: usize, end: bool) -> Result<(), Stop> {
    let response = &context.response;
    let Some(left) = response.promised.get() else {
        return Ok(());
    };
    let rest = left.checked_sub(len as u64);
    response.promised.set(Some(rest.unwrap_or(0)));
    if !response.changed.get() || rest == Some(0) || (rest.is_some() && !end) {
        return Ok(());
    }
    request.log().write(
        Level::Error,
        format_args!(
            "[wasm] a filter changed the length of a response body whose Content-Length was \
             already sent; a filter that does so must remove content-length in \
             on_response_headers"
        ),
    );
    Err(Stop::Close)
}

/// Passes a chain to the next filter, and frees what has been used up.
fn send(context: &Context, request: Request, chain: *mut ngx_chain_t) -> ngx_int_t {
    let rc = next::body(request, chain);
    let mut storage = context.response.storage.borrow_mut();
    // SAFETY: the links and buffers are the live request's.
    unsafe {
        context
            .response
            .output
            .borrow_mut()
            .sent(request.pool(), chain, |freed| {
                storage.retain(|(buffer, _)| *buffer != freed);
            });
    }
    rc
}

/// The filters stop this response: by a response of their own where the header is not yet sent.
fn stopped(context: &Rc<Context>, request: Request, stop: Stop) -> ngx_int_t {
    let response = &context.response;
    let stage = response.stage.replace(Stage::Discarding);
    drop_queue(context, request);
    context.timed_out.set(false);
    let reply = match stop {
        Stop::LocalReply => context.reply.take(),
        Stop::Failed => Some(LocalReply::failure(503)),
        Stop::CutOff => Some(LocalReply::failure(502)),
        Stop::TimedOut => Some(LocalReply::failure(504)),
        Stop::Close => None,
    };
    let upgrading = request.forget_upgrade();
    let unsent = matches!(
        stage,
        Stage::Headers | Stage::HeadersPaused(_) | Stage::HeadersHeld
    );
    match reply {
        Some(reply) if unsent => {
            let rc = replace(request, reply);
            // The upstream of a tunnel has no end that nginx would wait for.
            if upgrading { ERROR } else { rc }
        }
        Some(_) if matches!(stop, Stop::LocalReply) => {
            request.log().write(
                Level::Error,
                format_args!(
                    "[wasm] a filter's local response came after the response headers were sent; \
                     the connection is closed"
                ),
            );
            ERROR
        }
        _ => ERROR,
    }
}

/// Sends a local response instead of the upstream's.
fn replace(request: Request, reply: LocalReply) -> ngx_int_t {
    let Ok(mut body) = reply.prepare(request) else {
        return ERROR;
    };
    let rc = next::header(request);
    // SAFETY: the request is live.
    if rc == ERROR || rc > OK || unsafe { (*request.as_ptr()).header_only() } != 0 {
        return rc;
    }
    let rc = next::body(request, &mut body);
    request.end_upstream();
    match rc {
        ERROR => ERROR,
        _ => OK,
    }
}

fn set_buffered(request: Request, buffered: bool) {
    // SAFETY: the request is live.
    unsafe {
        let flags = (*request.as_ptr()).buffered() & !BUFFERED;
        (*request.as_ptr()).set_buffered(flags | if buffered { BUFFERED } else { 0 });
    }
}
