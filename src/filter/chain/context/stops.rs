//! What has been asked for that ends a request's way through its filters.

use std::cell::{Cell, RefCell};

use ngx::ffi::NGX_HTTP_SERVICE_UNAVAILABLE;

use crate::filter::chain::stage::{Direction, Stop};
use crate::message::local::LocalReply;

const FAILED: u8 = 1;
const OVER: u8 = 1 << 1;
const ANSWERED: u8 = 1 << 2;
const CLOSED: u8 = 1 << 3;
const TIMED_OUT: u8 = 1 << 4;
const UNSENDABLE: u8 = 1 << 5;

/// Reasons to end, each until it is seen to. They can come together: the order of their bits is that in
/// which they count.
#[derive(Default)]
pub struct Stops {
    /// Those that are there.
    set: Cell<u8>,
    /// What the client gets for a filter that has failed; 0: 503.
    failure: Cell<u16>,
    over: Cell<Option<Direction>>,
    reply: RefCell<Option<LocalReply>>,
    unsendable: Cell<Option<Direction>>,
    /// The log has a line about what filters have written and nginx cannot send.
    unsendable_told: Cell<bool>,
}

impl Stops {
    /// What comes first of what has been asked for.
    #[inline]
    pub fn check(&self) -> Result<(), Stop> {
        match self.set.get() {
            0 => Ok(()),
            set => self.first(set),
        }
    }

    #[cold]
    fn first(&self, set: u8) -> Result<(), Stop> {
        let lowest = set & set.wrapping_neg();
        Err(match (lowest, self.over.get(), self.unsendable.get()) {
            (FAILED, ..) => Stop::Failed,
            (OVER, Some(direction), _) => Stop::OverLimit(direction),
            (ANSWERED, ..) => Stop::LocalReply,
            (CLOSED, ..) => Stop::Close,
            (TIMED_OUT, ..) => Stop::TimedOut,
            (UNSENDABLE, _, Some(direction)) => Stop::Unsendable(direction),
            _ => return Ok(()),
        })
    }

    fn add(&self, reason: u8) {
        self.set.set(self.set.get() | reason);
    }

    fn remove(&self, reasons: u8) {
        self.set.set(self.set.get() & !reasons);
    }

    fn has(&self, reason: u8) -> bool {
        self.set.get() & reason != 0
    }

    /// A filter without which the request must not go on has failed: for good.
    pub fn fail(&self) {
        self.add(FAILED);
    }

    /// The same, with a status for the client.
    pub fn fail_with(&self, status: u16) {
        self.failure.set(status);
        self.fail();
    }

    /// The status for a filter that has failed.
    pub fn failure(&self) -> u32 {
        match self.failure.get() {
            0 => NGX_HTTP_SERVICE_UNAVAILABLE,
            status => status.into(),
        }
    }

    pub fn has_failed(&self) -> bool {
        self.has(FAILED)
    }

    /// A filter is over `wasm_buffer_size`, with what belongs to this direction. `false`: one was before.
    pub fn exceed(&self, direction: Direction) -> bool {
        let first = !self.has(OVER);
        if first {
            self.add(OVER);
            self.over.set(Some(direction));
        }
        first
    }

    pub fn exceeded(&self) -> Option<Direction> {
        self.over.get().filter(|_| self.has(OVER))
    }

    pub fn forget_exceeded(&self) {
        self.remove(OVER);
    }

    /// A filter answers. As in Envoy, the first response is the one that counts.
    #[inline]
    pub fn answer(&self, reply: impl FnOnce() -> LocalReply) {
        if !self.has(ANSWERED) {
            let reply = reply();
            self.add(ANSWERED);
            self.reply.replace(Some(reply));
        }
    }

    pub fn is_answered(&self) -> bool {
        self.has(ANSWERED)
    }

    pub fn take_reply(&self) -> Option<LocalReply> {
        self.remove(ANSWERED);
        self.reply.take()
    }

    /// A filter closes the stream: for good.
    pub fn close(&self) {
        self.add(CLOSED);
    }

    pub fn is_closed(&self) -> bool {
        self.has(CLOSED)
    }

    /// A pause took too long.
    pub fn time_out(&self) {
        self.add(TIMED_OUT);
    }

    /// A filter has written a header of this message that cannot be sent.
    pub fn refuse(&self, direction: Direction) {
        self.add(UNSENDABLE);
        self.unsendable.set(Some(direction));
    }

    /// Is the log to have a line about what cannot be sent? One is enough.
    pub fn unsendable_is_new(&self) -> bool {
        !self.unsendable_told.replace(true)
    }

    /// The request ends for one of them. What comes instead, an error page say, may go on.
    pub fn seen_to(&self) {
        self.remove(TIMED_OUT | OVER | UNSENDABLE);
    }
}
