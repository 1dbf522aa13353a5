//! Where a guest's response goes.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::body::Body;
use crate::failure::Failure;

type Outcome = Result<http::Response<Body>, Failure>;

/// The response's head, with its body to come; or why there is none.
pub struct Answer(Rc<Slot>);

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
    pub(crate) fn new(slot: Rc<Slot>) -> Answer {
        Answer(slot)
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
        let mut state = self.0.0.borrow_mut();
        match state.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
