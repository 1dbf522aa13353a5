//! Where a guest's response goes.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use wasm_runtime::Meter;

use crate::body::{Body, BodyError};
use crate::failure::Failure;

type Outcome = Result<http::Response<Body>, Failure>;

/// The response's head, with its body to come; or why there is none.
pub struct Answer {
    slot: Rc<Slot>,
    meter: Arc<Meter>,
}

/// The place for it, that the guest's run fills.
#[derive(Default)]
pub(crate) struct Slot(RefCell<State>);

#[derive(Default)]
struct State {
    filled: bool,
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

impl Answer {
    /// `meter`: that of the guest, which may compute anew for each piece of the body.
    pub(crate) fn new(slot: Rc<Slot>, meter: Arc<Meter>) -> Answer {
        Answer { slot, meter }
    }
}

impl Slot {
    /// Takes an outcome; the first one counts.
    pub fn fill(&self, outcome: Outcome) {
        let waker = {
            let mut state = self.0.borrow_mut();
            if state.filled {
                return;
            }
            state.filled = true;
            state.outcome = Some(outcome);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What is to be said of a guest that has come to its end.
    pub fn outcome(&self) -> Result<(), Failure> {
        match self.0.borrow().filled {
            true => Ok(()),
            false => Err(Failure::NoResponse),
        }
    }
}

impl Future for Answer {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.slot.0.borrow_mut();
        match state.outcome.take() {
            Some(outcome) => Poll::Ready(outcome.map(|response| {
                let meter = self.meter.clone();
                response.map(|body| Body::new(Metered { body, meter }))
            })),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A body that tells when something of it is taken.
struct Metered {
    body: Body,
    meter: Arc<Meter>,
}

impl http_body::Body for Metered {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() {
            self.meter.taken();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
