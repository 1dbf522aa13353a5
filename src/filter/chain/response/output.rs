//! What goes out: in the buffers that it came in, or in buffers of the module's.

use std::rc::Rc;

use ngx::ffi::{ngx_buf_t, ngx_chain_t, ngx_http_special_response_handler, ngx_int_t};

use crate::filter::chain::context::Context;
use crate::filter::chain::response::header::{body_changes, send_headers};
use crate::filter::chain::response::state::{Response, UNSENT};
use crate::filter::chain::response::window::{Source, Window, drop_queue, used};
use crate::filter::chain::stage::{ResponseStage, Stop};
use crate::message::body::{Body, Part, WINDOW};
use crate::message::next;
use crate::nginx::log::Level;
use crate::nginx::request::Request;
use crate::nginx::{DONE, ERROR, OK, buf};

/// Passes a window on in the buffers that it came in.
pub fn forward(context: &Rc<Context>, request: Request, window: Window) -> Result<ngx_int_t, Stop> {
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
    let changed = response
        .changed
        .get()
        .then_some(BodyChange { length: None });
    let rc = hold_off_headers(context, request, changed, window.end);
    if rc == ERROR || rc > OK || response.stage.get() != ResponseStage::Sent {
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

/// Sends the unchanged part of a file that lies before this window.
pub fn send_unchanged_before(
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
pub fn send_file_part(
    context: &Rc<Context>,
    request: Request,
    upto: usize,
    last: Option<&Window>,
) -> Result<ngx_int_t, Stop> {
    let response = &context.response;
    let from = response.sent.get();
    let end = last.is_some_and(|window| window.end);
    let changed = response
        .changed
        .get()
        .then_some(BodyChange { length: None });
    let rc = hold_off_headers(context, request, changed, end);
    if rc == ERROR || rc > OK || response.stage.get() != ResponseStage::Sent {
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
pub fn send_piece(
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
    let rc = hold_off_headers(
        context,
        request,
        Some(BodyChange {
            length: end.then_some(size),
        }),
        end,
    );
    if rc == ERROR || rc > OK || response.stage.get() != ResponseStage::Sent {
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
pub unsafe fn finish_buffer(part: *mut ngx_buf_t, request: Request, end: bool, flush: bool) {
    // SAFETY: `part` is valid.
    unsafe {
        (*part).set_flush(u32::from(flush));
        if end {
            let last = request.is_main() && !request.is_sliced();
            (*part).set_last_buf(u32::from(last));
            (*part).set_last_in_chain(1);
            (*part).set_sync(u32::from(buf::size(part) == 0 && !last));
        }
    }
}

/// The body is not what the upstream sent.
#[derive(Clone, Copy)]
pub struct BodyChange {
    /// Its new length in bytes, where that is all of it.
    pub length: Option<usize>,
}

/// Sends the header if it is still held. `changed`: the body is another one.
#[inline]
pub fn hold_off_headers(
    context: &Rc<Context>,
    request: Request,
    changed: Option<BodyChange>,
    end: bool,
) -> ngx_int_t {
    match context.response.stage.get() {
        ResponseStage::HeadersHeld => send_held_headers(context, request, changed, end),
        _ => OK,
    }
}

#[inline]
fn send_held_headers(
    context: &Rc<Context>,
    request: Request,
    changed: Option<BodyChange>,
    end: bool,
) -> ngx_int_t {
    // What a slice's header says is of all slices, and of no interest to the client.
    if let Some(BodyChange { length }) = changed
        && !request.is_clone()
    {
        if request.response_length().is_some() {
            let all = end && !request.is_sliced();
            request.set_response_length(length.filter(|_| all).map(|length| length as u64));
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
/// own page for it, with what they have put into the header (`Content-Range`).
pub fn refused(context: &Context, request: Request, status: ngx_int_t) -> ngx_int_t {
    context.response.stage.set(ResponseStage::Passing);
    drop_queue(context, request);
    // A content handler finalizes the request with the status. nginx's upstream passes over it
    // once it has sent the header, as it thinks that it has.
    // SAFETY: the request is live.
    unsafe {
        let r = request.as_ptr();
        if (*r).upstream.is_null() || request.is_cached() {
            return status;
        }
        // `ngx_http_filter_finalize_request` would clear the header.
        (*r).set_filter_finalize(1);
        match ngx_http_special_response_handler(r, status) {
            OK | DONE => ERROR,
            rc => rc,
        }
    }
}

/// Counts bytes against the Content-Length that was sent; one that a changed body does not keep
/// would let the client take the next response for this one's rest, or wait for it.
#[inline]
pub fn keep_promise(
    context: &Context,
    request: Request,
    len: usize,
    end: bool,
) -> Result<(), Stop> {
    let response = &context.response;
    let Some(left) = response.promised.get() else {
        return Ok(());
    };
    let rest = left.checked_sub(len as u64);
    response.promised.set(Some(rest.unwrap_or(0)));
    match response.changed.get() {
        true => check_promise(context, request, rest, end),
        false => Ok(()),
    }
}

/// `rest`: bytes that are left of what was promised; `None` when there are more than that.
fn check_promise(
    context: &Context,
    request: Request,
    rest: Option<u64>,
    end: bool,
) -> Result<(), Stop> {
    let response = &context.response;
    let kept = match request.is_sliced() {
        true => keeps_slice(response, end),
        false => rest == Some(0) || (rest.is_some() && !end),
    };
    if kept {
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

/// Is what goes out of a slice not more than what has come in, and in the end as much? The other slices go on
/// where it ends.
fn keeps_slice(response: &Response, end: bool) -> bool {
    let all = response.length.get().unwrap_or_default();
    let taken = all.saturating_sub(response.expected.get().unwrap_or_default());
    let sent = all.saturating_sub(response.promised.get().unwrap_or_default());
    sent <= taken && (!end || sent == taken)
}

/// Passes a chain to the next filter, and frees what has been used up.
pub fn send(context: &Context, request: Request, chain: *mut ngx_chain_t) -> ngx_int_t {
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
