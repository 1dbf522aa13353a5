//! Bodies that guests write.
//!
//! A guest writes to a stream while the other side takes what there is, so all of it can be in a buffer of one piece at the
//! most: a guest that writes faster has to wait.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body::{Frame, SizeHint};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamError, StreamResult};

use crate::body::{Body, BodyError};

/// Bytes that a body buffers.
pub(crate) const BUDGET: usize = 64 << 10;

/// A body that the guest writes, as the guest has it.
pub(crate) struct OutgoingBody {
    shared: Arc<Shared>,
    has_stream: bool,
}

/// Whose body it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Request,
    Response,
}

struct Shared {
    of: Of,
    expected: Option<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Bytes>,
    buffered: usize,
    written: u64,
    end: Option<End>,
    /// Nobody reads it any more.
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

enum End {
    Finished(Option<HeaderMap>),
    Aborted,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it, if it has no end yet.
    fn end(&self, end: End) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        wake(state, |state| &mut state.reader);
    }

    /// The error of a body with so many bytes.
    fn size_error(&self, size: u64) -> ErrorCode {
        match self.of {
            Of::Request => ErrorCode::HttpRequestBodySize(Some(size)),
            Of::Response => ErrorCode::HttpResponseBodySize(Some(size)),
        }
    }
}

/// Wakes one of the two, without the lock.
fn wake(mut state: MutexGuard<'_, State>, which: fn(&mut State) -> &mut Option<Waker>) {
    let waker = which(&mut state).take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl OutgoingBody {
    /// A body of so many bytes, if that is known, and what reads it.
    pub fn new(of: Of, expected: Option<u64>) -> (OutgoingBody, Body) {
        let shared = Arc::new(Shared {
            of,
            expected,
            state: Mutex::default(),
        });
        let body = OutgoingBody {
            shared: shared.clone(),
            has_stream: false,
        };
        (body, Body::new(Reader(shared)))
    }

    /// What the guest writes to; there is one.
    pub fn stream(&mut self) -> Option<Box<dyn OutputStream>> {
        if std::mem::replace(&mut self.has_stream, true) {
            return None;
        }
        Some(Box::new(Writer(self.shared.clone())))
    }

    /// Brings it to its end.
    pub fn finish(self, trailers: Option<HeaderMap>) -> Result<(), ErrorCode> {
        let written = self.shared.lock().written;
        match self.shared.expected {
            // Dropped, it is aborted.
            Some(expected) if expected != written => Err(self.shared.size_error(written)),
            _ => {
                self.shared.end(End::Finished(trailers));
                Ok(())
            }
        }
    }
}

/// The guest has dropped it, or is gone itself.
impl Drop for OutgoingBody {
    fn drop(&mut self) {
        self.shared.end(End::Aborted);
    }
}

/// The bodies of responses that an instance has begun.
#[derive(Default)]
pub(crate) struct OutgoingBodies {
    /// The request is for the head alone.
    head_only: bool,
    begun: Vec<Weak<Shared>>,
}

impl OutgoingBodies {
    /// The responses from now on are to a request with this method.
    pub fn begin(&mut self, method: &Method) {
        self.head_only = *method == Method::HEAD;
    }

    /// Has a response a body as long as it says?
    pub fn are_sent(&self) -> bool {
        !self.head_only
    }

    pub fn note(&mut self, body: &OutgoingBody) {
        self.begun.push(Arc::downgrade(&body.shared));
    }

    /// Aborts those without an end: their guest has returned.
    pub fn abort(&mut self) {
        for body in self.begun.drain(..).filter_map(|body| body.upgrade()) {
            body.end(End::Aborted);
        }
    }
}

struct Writer(Arc<Shared>);

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut state = self.0.lock();
        if state.closed {
            return Err(StreamError::Closed);
        }
        if bytes.len() > BUDGET - state.buffered.min(BUDGET) {
            return Err(StreamError::trap("write exceeded budget"));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        state.written += bytes.len() as u64;
        let written = state.written;
        if self.0.expected.is_some_and(|expected| written > expected) {
            drop(state);
            self.0.end(End::Aborted);
            let error = self.0.size_error(written);
            return Err(StreamError::LastOperationFailed(error.into()));
        }
        state.buffered += bytes.len();
        state.chunks.push_back(bytes);
        wake(state, |state| &mut state.reader);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        match self.0.lock().closed {
            true => Err(StreamError::Closed),
            false => Ok(()),
        }
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let state = self.0.lock();
        match state.closed {
            true => Err(StreamError::Closed),
            false => Ok(BUDGET - state.buffered.min(BUDGET)),
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        std::future::poll_fn(|cx| {
            let mut state = self.0.lock();
            if state.closed || state.buffered < BUDGET {
                return Poll::Ready(());
            }
            state.writer = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

struct Reader(Arc<Shared>);

impl http_body::Body for Reader {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut state = self.0.lock();
        if let Some(chunk) = state.chunks.pop_front() {
            state.buffered -= chunk.len();
            wake(state, |state| &mut state.writer);
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        let frame = match &mut state.end {
            None => {
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Some(End::Finished(trailers)) => trailers.take().map(|t| Ok(Frame::trailers(t))),
            Some(End::Aborted) => Some(Err(BodyError::HttpProtocolError)),
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let state = self.0.lock();
        state.chunks.is_empty() && matches!(state.end, Some(End::Finished(None)))
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.expected {
            Some(expected) => {
                let state = self.0.lock();
                let read = state.written.saturating_sub(state.buffered as u64);
                SizeHint::with_exact(expected.saturating_sub(read))
            }
            None => SizeHint::default(),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.chunks.clear();
        wake(state, |state| &mut state.writer);
    }
}
