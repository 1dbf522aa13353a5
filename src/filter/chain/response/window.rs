//! What comes in: nginx's buffers, and the pieces of them that the filters see.

use crate::filter::chain::context::Context;
use crate::filter::chain::response::pass::set_buffered;
use crate::filter::chain::stage::Direction;
use crate::message::body::{Body, WINDOW};
use crate::nginx::buf;
use crate::nginx::request::Request;

/// What the body callbacks see at a time: whole buffers, or part of a file.
#[derive(Default)]
pub struct Window {
    pub body: Body,
    pub end: bool,
    pub flush: bool,
    pub source: Source,
}

pub enum Source {
    /// The first buffers of the queue, so many.
    Buffers(usize),
    /// Part of the queue's first buffer, a file.
    Part,
    /// The last part of the queue's first buffer, a file, and buffers without bytes behind it:
    /// so many in all.
    LastPart(usize),
}

impl Default for Source {
    fn default() -> Source {
        Source::Buffers(0)
    }
}

/// The next bytes of the queue: all buffers up to the next file, or part of a file.
pub fn next_window(context: &Context, request: Request) -> Option<Window> {
    let response = &context.response;
    let mut window = Window::default();
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
    if waits_for_end(context, request, &window, window.body.len()) {
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

/// Is a window of so many bytes all of the body but for its end?
///
/// From an upstream, the end follows the last byte at once, in a buffer of its own: filters get the
/// two together, and the length that they make of the body is known. (Without `proxy_buffering`,
/// nginx gives the end only when the bytes have been used up.)
pub fn waits_for_end(context: &Context, request: Request, window: &Window, size: usize) -> bool {
    let complete = context.response.expected.get() == Some(size as u64);
    let open = !window.end && !window.flush;
    complete && open && context.chain.response_body && request.buffered_upstream_is_done()
}

/// Takes a window off the queue whose bytes went on elsewhere, or nowhere.
pub fn used(context: &Context, request: Request, window: &Window) {
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
    consume(context, request);
    context.drop_body(Direction::Response);
}

/// A filter has ended the body: drops what is queued, and what the upstream has still to send.
pub fn drop_input(context: &Context, request: Request) {
    let response = &context.response;
    if response.queue.get().is_null() && response.drops_input.replace(true) {
        return;
    }
    response.passed.set(0);
    response.sent.set(0);
    consume(context, request);
    request.end_upstream();
}

fn consume(context: &Context, request: Request) {
    let mut queue = context.response.queue.replace(std::ptr::null_mut());
    // SAFETY: as in `used`.
    unsafe {
        while let Some(buf) = buf::pop(request.pool(), &mut queue) {
            buf::consume(buf);
        }
    }
}
