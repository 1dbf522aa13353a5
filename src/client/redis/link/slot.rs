//! The place of a reply.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::client::budget::Share;
use crate::client::redis::failure::Failure;

/// Where a reply goes that is still to come.
pub struct Slot {
    state: RefCell<State>,
    /// Bytes of a reply.
    limit: usize,
    waker: Cell<Option<Waker>>,
}

enum State {
    Collecting {
        reply: Vec<u8>,
        share: Share,
    },
    /// What still comes is dropped, and this is told, if anybody waits.
    Dropping(Option<Failure>),
    Ended(Result<Vec<u8>, Failure>, Option<Share>),
    Taken,
}

impl Slot {
    /// Slots for so many replies, of which the last one is wanted.
    pub fn of(count: usize, limit: usize, share: Share) -> Vec<Rc<Slot>> {
        let new = |state| {
            Rc::new(Slot {
                state: RefCell::new(state),
                limit,
                waker: Cell::default(),
            })
        };
        let mut slots: Vec<_> = (1..count).map(|_| new(State::Dropping(None))).collect();
        let reply = Vec::new();
        slots.push(new(State::Collecting { reply, share }));
        slots
    }

    /// Nobody waits for it, and nothing has been said of it.
    pub fn is_abandoned(&self) -> bool {
        matches!(*self.state.borrow(), State::Taken)
    }

    /// Some more bytes of the reply.
    pub fn push(&self, bytes: &[u8]) {
        let mut state = self.state.borrow_mut();
        let State::Collecting { reply, share } = &mut *state else {
            return;
        };
        if reply.len() + bytes.len() > self.limit {
            *state = State::Dropping(Some(Failure::TooLarge(self.limit)));
        } else if share.grow(bytes.len()) {
            reply.extend_from_slice(bytes);
        } else {
            *state = State::Dropping(Some(Failure::NoRoom));
        }
    }

    /// The reply is complete.
    pub fn complete(&self) {
        let state = self.state.replace(State::Taken);
        self.state.replace(match state {
            State::Collecting { reply, share } => State::Ended(Ok(reply), Some(share)),
            State::Dropping(Some(failure)) => State::Ended(Err(failure), None),
            other => other,
        });
        self.wake();
    }

    /// It will never be.
    pub fn end(&self, result: Result<Vec<u8>, Failure>) {
        let mut state = self.state.borrow_mut();
        if let State::Collecting { .. } | State::Dropping(_) = &*state {
            *state = State::Ended(result, None);
        }
        drop(state);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A reply that is to come, as a future, with the share that it holds of a budget. One that is dropped before is read and
/// thrown away, or, if nothing of the command has been written yet, never sent.
pub struct Reply(Option<Rc<Slot>>);

impl Reply {
    pub fn new(slot: Option<Rc<Slot>>) -> Reply {
        Reply(slot)
    }
}

impl Future for Reply {
    type Output = Result<(Vec<u8>, Option<Share>), Failure>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(slot) = &self.0 else {
            return Poll::Pending;
        };
        let state = slot.state.replace(State::Taken);
        match state {
            State::Ended(result, share) => Poll::Ready(result.map(|reply| (reply, share))),
            other => {
                slot.state.replace(other);
                slot.waker.set(Some(context.waker().clone()));
                Poll::Pending
            }
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(slot) = &self.0 {
            slot.state.replace(State::Taken);
        }
    }
}
