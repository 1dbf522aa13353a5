//! What has been asked for that ends a request's way through its filters.

use std::cell::{Cell, RefCell};

use super::{Direction, Stop};
use crate::http::local::LocalReply;

/// Reasons to end, each until it is seen to. They can come together: the order of [`Stops::check`] is that
/// in which they count.
#[derive(Default)]
pub struct Stops {
    /// One of them may be set, so that the usual case takes one look.
    any: Cell<bool>,
    failed: Cell<bool>,
    over: Cell<Option<Direction>>,
    reply: RefCell<Option<LocalReply>>,
    closed: Cell<bool>,
    timed_out: Cell<bool>,
    unsendable: Cell<Option<Direction>>,
}

impl Stops {
    /// What comes first of what has been asked for.
    #[inline]
    pub fn check(&self) -> Result<(), Stop> {
        match self.any.get() {
            true => self.first(),
            false => Ok(()),
        }
    }

    #[cold]
    fn first(&self) -> Result<(), Stop> {
        Err(if self.failed.get() {
            Stop::Failed
        } else if let Some(direction) = self.over.get() {
            Stop::OverLimit(direction)
        } else if self.reply.borrow().is_some() {
            Stop::LocalReply
        } else if self.closed.get() {
            Stop::Close
        } else if self.timed_out.get() {
            Stop::TimedOut
        } else if let Some(direction) = self.unsendable.get() {
            Stop::Unsendable(direction)
        } else {
            // All has been seen to.
            self.any.set(false);
            return Ok(());
        })
    }

    /// A filter without which the request must not go on has failed: for good.
    pub fn fail(&self) {
        self.any.set(true);
        self.failed.set(true);
    }

    pub fn has_failed(&self) -> bool {
        self.failed.get()
    }

    /// A filter is over `wasm_buffer_size`, with what belongs to this direction. `false`: one was before.
    pub fn exceed(&self, direction: Direction) -> bool {
        self.any.set(true);
        let first = self.over.get().is_none();
        if first {
            self.over.set(Some(direction));
        }
        first
    }

    pub fn exceeded(&self) -> Option<Direction> {
        self.over.get()
    }

    pub fn forget_exceeded(&self) {
        self.over.set(None);
    }

    /// A filter answers. As in Envoy, the first response is the one that counts.
    #[inline]
    pub fn answer(&self, reply: impl FnOnce() -> LocalReply) {
        let mut slot = self.reply.borrow_mut();
        if slot.is_none() {
            self.any.set(true);
            *slot = Some(reply());
        }
    }

    pub fn is_answered(&self) -> bool {
        self.reply.borrow().is_some()
    }

    pub fn take_reply(&self) -> Option<LocalReply> {
        self.reply.take()
    }

    /// A filter closes the stream: for good.
    pub fn close(&self) {
        self.any.set(true);
        self.closed.set(true);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// A pause took too long.
    pub fn time_out(&self) {
        self.any.set(true);
        self.timed_out.set(true);
    }

    /// A filter has written a header of this message that cannot be sent.
    pub fn refuse(&self, direction: Direction) {
        self.any.set(true);
        self.unsendable.set(Some(direction));
    }

    /// The request ends for one of them. What comes instead, an error page say, may go on.
    pub fn seen_to(&self) {
        self.timed_out.set(false);
        self.over.set(None);
        self.unsendable.set(None);
    }
}
