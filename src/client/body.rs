//! The bodies of requests: HTTP's, which are known as a whole, and gRPC's, whose messages come one
//! by one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::client::budget::{Budget, Share};

/// A body that is there as a whole, and the trailers behind it.
pub struct Payload {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Payload {
    pub fn new(data: Bytes, trailers: Option<HeaderMap>) -> Payload {
        Payload {
            data: (!data.is_empty()).then_some(data),
            trailers,
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match self.data.take() {
            Some(data) => Some(Frame::data(data)),
            None => self.trailers.take().map(Frame::trailers),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.trailers {
            // hyper takes an exact length for a reason not to send the body in chunks.
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64)),
        }
    }
}

/// The sending half of a gRPC stream: what has been put in and is not yet sent.
#[derive(Clone)]
pub struct Feed(Rc<RefCell<Queue>>);

struct Queue {
    frames: VecDeque<Bytes>,
    /// Bytes in `frames`.
    len: usize,
    /// For those that were pushed.
    share: Share,
    end: End,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Closed,
    Cancelled,
}

impl Feed {
    pub fn new(budget: &Budget) -> Feed {
        Feed(Rc::new(RefCell::new(Queue {
            frames: VecDeque::new(),
            len: 0,
            share: budget.share(),
            end: End::Open,
            waker: None,
        })))
    }

    /// Adds a frame, unless more than `limit` bytes would wait to be sent then, the budget has no
    /// room, or the half has ended.
    pub fn push(&self, frame: Bytes, limit: usize) -> Result<(), Full> {
        let mut queue = self.0.borrow_mut();
        if queue.end != End::Open
            || queue.len.saturating_add(frame.len()) > limit
            || !queue.share.grow(frame.len())
        {
            return Err(Full);
        }
        queue.len += frame.len();
        queue.frames.push_back(frame);
        queue.wake();
        Ok(())
    }

    /// Makes `frame` all there is to send, whatever has been sent of it before.
    pub fn set(&self, frame: Bytes) {
        let mut queue = self.0.borrow_mut();
        if queue.end != End::Cancelled {
            queue.len = frame.len();
            queue.frames.clear();
            queue.frames.push_back(frame);
            queue.end = End::Closed;
            queue.wake();
        }
    }

    /// Ends the half behind what has been put in.
    pub fn close(&self) {
        let mut queue = self.0.borrow_mut();
        if queue.end == End::Open {
            queue.end = End::Closed;
            queue.wake();
        }
    }

    /// Resets the stream, if this half is still open.
    pub fn cancel(&self) {
        let mut queue = self.0.borrow_mut();
        queue.end = End::Cancelled;
        queue.frames.clear();
        let left = std::mem::take(&mut queue.len);
        queue.share.shrink(left);
        queue.wake();
    }

    /// Has the half been ended?
    pub fn closed(&self) -> bool {
        self.0.borrow().end != End::Open
    }
}

impl Queue {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// There is no room for another frame.
#[derive(Debug)]
pub struct Full;

impl Body for Feed {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let mut queue = self.0.borrow_mut();
        if queue.end == End::Cancelled {
            return Poll::Ready(Some(Err(h2::Reason::CANCEL.into())));
        }
        if let Some(frame) = queue.frames.pop_front() {
            queue.len -= frame.len();
            queue.share.shrink(frame.len());
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        if queue.end == End::Closed {
            return Poll::Ready(None);
        }
        queue.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        let queue = self.0.borrow();
        queue.end == End::Closed && queue.frames.is_empty()
    }
}
