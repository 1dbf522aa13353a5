//! The body of a request, read from the client as it is asked for.
//!
//! Nothing is read before the first piece is wanted: a client that waits for `100 Continue` gets it then, and a body
//! that nobody wants is nginx's to discard. What is not asked for stays in nginx's buffer, and then with the client.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use ngx::ffi::{
    NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_SPECIAL_RESPONSE, ngx_buf_t, ngx_chain_t,
    ngx_del_timer, ngx_http_discard_request_body, ngx_http_read_client_request_body,
    ngx_http_read_unbuffered_request_body, ngx_int_t,
};

use crate::message::body::{Body as Piece, WINDOW};
use crate::message::stream::events::{Events, listen_to_reads, on_body};
use crate::nginx::request::Request;
use crate::nginx::{OK, buf};

/// There is no more of the body: the client has gone or broken a rule, or the request has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request's body cannot be read")]
pub struct Broken;

/// The body of a request.
pub struct Upload {
    events: Rc<Events>,
    source: Source,
    /// Bytes that are still to come, as far as the client has said.
    left: Option<u64>,
}

enum Source {
    /// Nothing has been asked for.
    Untouched,
    /// All of it is there: buffers that stay as they are, and where the next byte is.
    Whole {
        buffers: Vec<*mut ngx_buf_t>,
        at: (usize, usize),
    },
    /// nginx reads all of it first: a short one of HTTP/2, say, that has come with its header.
    Buffering,
    /// What has come and is not yet passed on; nginx reads more.
    Coming(*mut ngx_chain_t),
    Ended,
}

impl Upload {
    /// That of the request whose events these are. A subrequest has that of its main request where it has the same
    /// method, as nginx's mirrors do; one that is included is a GET without a body.
    pub fn new(events: Rc<Events>) -> Upload {
        let (source, left) = match events.request() {
            Some(request) => start(request),
            None => (Source::Ended, Some(0)),
        };
        Upload {
            events,
            source,
            left,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let Some(request) = self.events.request() else {
            return Poll::Ready(Some(Err(Broken)));
        };
        if let Source::Untouched = self.source
            && let Err(rc) = self.begin(request)
        {
            return self.fail(rc);
        }
        if let Source::Buffering = self.source {
            if !self.events.has_body() {
                self.events.wait_to_read(context);
                return Poll::Pending;
            }
            listen_to_reads(request);
            self.source = whole(request);
        }
        if let Some(piece) = self.take(request) {
            return Poll::Ready(Some(piece));
        }
        if !is_reading(request) || !matches!(self.source, Source::Coming(_)) {
            self.source = Source::Ended;
            return Poll::Ready(None);
        }
        // SAFETY: the request is live, and nginx has begun to read its body without buffering it.
        let rc = unsafe { ngx_http_read_unbuffered_request_body(request.as_ptr()) };
        if rc >= NGX_HTTP_SPECIAL_RESPONSE as ngx_int_t {
            return self.fail(rc);
        }
        self.source = Source::Coming(taken(request));
        if !is_reading(request) {
            listen_to_reads(request);
        }
        match self.take(request) {
            Some(piece) => {
                forget_timer(request);
                Poll::Ready(Some(piece))
            }
            None if is_reading(request) => {
                self.events.wait_to_read(context);
                Poll::Pending
            }
            None => {
                self.source = Source::Ended;
                Poll::Ready(None)
            }
        }
    }

    fn fail(&mut self, rc: ngx_int_t) -> Poll<Option<Result<Bytes, Broken>>> {
        self.source = Source::Ended;
        self.events.fail(rc);
        Poll::Ready(Some(Err(Broken)))
    }

    /// Has nginx read the body. An error is what the request is to be finalized with.
    fn begin(&mut self, request: Request) -> Result<(), ngx_int_t> {
        // SAFETY: the request is live, and in its content phase; nobody has begun to read its body. The request has a
        // reference from whoever makes its content beside the one that is given back.
        unsafe {
            let r = request.as_ptr();
            let write = (*r).write_event_handler;
            (*r).set_request_body_no_buffering(1);
            let rc = ngx_http_read_client_request_body(r, Some(on_body));
            if rc >= NGX_HTTP_SPECIAL_RESPONSE as ngx_int_t {
                return Err(rc);
            }
            let main = (*r).main;
            (*main).set_count((*main).count() - 1);
            (*r).write_event_handler = write;
        }
        self.source = match (is_reading(request), self.events.has_body()) {
            (true, _) => Source::Coming(taken(request)),
            (false, true) => whole(request),
            (false, false) => Source::Buffering,
        };
        if self.events.has_body() {
            listen_to_reads(request);
            forget_timer(request);
        }
        Ok(())
    }

    /// The next piece of what is there.
    fn take(&mut self, request: Request) -> Option<Result<Bytes, Broken>> {
        let mut piece = Piece::default();
        match &mut self.source {
            Source::Untouched | Source::Buffering | Source::Ended => return None,
            Source::Whole { buffers, at } => {
                while let Some(&buffer) = buffers.get(at.0) {
                    let before = piece.len();
                    // SAFETY: the buffers live as long as the request, and nobody changes them while its content is made.
                    unsafe { piece.push(buffer, at.1, WINDOW - before) };
                    at.1 += piece.len() - before;
                    // SAFETY: as above, the buffer is the live request's.
                    if at.1 < unsafe { buf::size(buffer) } {
                        break;
                    }
                    *at = (at.0 + 1, 0);
                }
            }
            Source::Coming(chain) => {
                // SAFETY: the links are of the request's pool, and the buffers nginx's own, which it uses again when
                // their bytes have been marked as used.
                unsafe {
                    let mut bytes = Vec::new();
                    let mut failed = false;
                    while let Some(buffer) = buf::pop(request.pool(), chain) {
                        let mut part = Piece::default();
                        part.push(buffer, 0, usize::MAX);
                        failed |= part
                            .read(0, usize::MAX, &mut |part| bytes.extend(part))
                            .is_err();
                        buf::consume(buffer);
                    }
                    return match (failed, bytes.is_empty()) {
                        (true, _) => Some(Err(self.unreadable())),
                        (false, true) => None,
                        (false, false) => Some(Ok(self.passed(bytes))),
                    };
                }
            }
        }
        if piece.is_empty() {
            return None;
        }
        Some(match piece.take() {
            Ok(bytes) => Ok(self.passed(bytes)),
            Err(_) => Err(self.unreadable()),
        })
    }

    fn passed(&mut self, bytes: Vec<u8>) -> Bytes {
        self.left = self
            .left
            .map(|left| left.saturating_sub(bytes.len() as u64));
        Bytes::from(bytes)
    }

    fn unreadable(&mut self) -> Broken {
        self.source = Source::Ended;
        self.events
            .fail(NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t);
        Broken
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let next = self.poll(context);
        next.map(|next| next.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Has nginx discard a body that nobody has asked for; its client is not told to go on with it.
pub fn discard(request: Request) {
    // SAFETY: the request is live, and nginx does nothing if its body has been read, or is being read.
    unsafe {
        let r = request.as_ptr();
        (*r).set_expect_tested(1);
        if ngx_http_discard_request_body(r) != OK {
            (*r).set_keepalive(0);
        }
    }
}

fn start(request: Request) -> (Source, Option<u64>) {
    // SAFETY: both requests are live.
    let same = unsafe { (*request.as_ptr()).method == (*request.main().as_ptr()).method };
    if request.body_is_read() && (request.is_main() || same) {
        // SAFETY: the buffers are the live request's.
        let sizes = unsafe { buf::iter(request.body()).map(|buffer| buf::size(buffer)) };
        let length = sizes.sum::<usize>();
        return (whole(request), Some(length as u64));
    }
    if !request.is_main() || !request.has_body() {
        return (Source::Ended, Some(0));
    }
    // SAFETY: the request is live.
    let length = unsafe {
        let headers = &raw const (*request.as_ptr()).headers_in;
        match (*headers).chunked() {
            0 => u64::try_from((*headers).content_length_n).ok(),
            _ => None,
        }
    };
    (Source::Untouched, length)
}

fn whole(request: Request) -> Source {
    Source::Whole {
        // SAFETY: the live request's chain, which does not change now.
        buffers: unsafe { buf::iter(request.body()).collect() },
        at: (0, 0),
    }
}

/// Is more of the body to come?
fn is_reading(request: Request) -> bool {
    // SAFETY: a handle is of a live request.
    unsafe { (*request.as_ptr()).reading_body() != 0 }
}

/// What nginx has read, out of its hands.
fn taken(request: Request) -> *mut ngx_chain_t {
    // SAFETY: the request is live, and its body is being read.
    unsafe {
        match (*request.as_ptr()).request_body.as_mut() {
            Some(body) => std::mem::replace(&mut body.bufs, std::ptr::null_mut()),
            None => std::ptr::null_mut(),
        }
    }
}

/// The client's time does not run while nobody waits for it.
fn forget_timer(request: Request) {
    // SAFETY: the request is live, and its connection has a read event.
    unsafe {
        let read = (*request.connection()).read;
        if (*read).timer_set() != 0 {
            ngx_del_timer(read);
        }
    }
}
