//! Bodies of requests and responses.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;

/// What goes wrong with a body, or with an outgoing request: the error codes of wasi:http, whichever version a guest has.
pub use wasmtime_wasi_http::Error as BodyError;

/// A body: frames of data, then trailers, if any.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Bytes of the body that a header announces. `None`: it says nothing.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The same of a response to a request with this method; those without a body can say what they like.
pub(crate) fn announced(method: &Method, status: StatusCode, headers: &HeaderMap) -> Option<u64> {
    let empty = *method == Method::HEAD
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    match empty {
        true => None,
        false => content_length(headers),
    }
}

/// What a guest's run and the body of its response tell each other.
#[derive(Default)]
pub(crate) struct Link(Mutex<State>);

#[derive(Default)]
struct State {
    /// The guest has failed, or was ended.
    failed: bool,
    /// Nobody reads the body any more.
    done: bool,
    waker: Option<Waker>,
}

impl Link {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn fail(&self) {
        self.lock().failed = true;
    }

    /// Nobody reads the body any more: it is at its end, or was given up.
    pub fn poll_done(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        match state.done {
            true => Poll::Ready(()),
            false => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn done(&self) {
        let mut state = self.lock();
        state.done = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A response's body that has an error in place of its end when its guest has failed, or when it has not the length that was
/// announced.
pub(crate) struct Watched {
    inner: Body,
    link: Arc<Link>,
    /// What was announced, and what there was of it.
    announced: Option<u64>,
    seen: u64,
    ended: bool,
}

impl Watched {
    pub fn new(inner: Body, link: Arc<Link>, announced: Option<u64>) -> Watched {
        Watched {
            inner,
            link,
            announced,
            seen: 0,
            ended: false,
        }
    }

    /// What the end is, where the guest has ended it.
    fn end(&self) -> Result<(), BodyError> {
        if self.link.lock().failed {
            return Err(BodyError::HttpResponseIncomplete);
        }
        match self.announced {
            Some(announced) if announced != self.seen => {
                Err(BodyError::HttpResponseBodySize(Some(self.seen)))
            }
            _ => Ok(()),
        }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => match frame.data_ref() {
                Some(data) => {
                    self.seen += data.len() as u64;
                    match self.announced {
                        Some(announced) if self.seen > announced => {
                            Some(Err(BodyError::HttpResponseBodySize(Some(self.seen))))
                        }
                        _ => return Poll::Ready(Some(Ok(frame))),
                    }
                }
                None => Some(self.end().map(|()| frame)),
            },
            Poll::Ready(Some(Err(error))) => Some(Err(error)),
            Poll::Ready(None) => self.end().err().map(Err),
        };
        self.ended = true;
        self.link.done();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        match self.announced {
            Some(announced) => SizeHint::with_exact(announced.saturating_sub(self.seen)),
            None => self.inner.size_hint(),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.link.done();
    }
}
