//! Messages that wait for their guest, in the order that they came in.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::client::budget::{Budget, CALL, Share};

/// Between two lines of the log about messages that are dropped.
const QUIET: Duration = Duration::from_secs(10);

/// A message, with what it takes of its module's budget.
pub struct Message {
    pub payload: Vec<u8>,
    pub share: Share,
}

/// Those of one subscription.
pub struct MessageLine {
    /// How many may wait.
    most: usize,
    budget: Budget,
    waiting: RefCell<VecDeque<Message>>,
    /// No more will come.
    closed: Cell<bool>,
    waker: Cell<Option<Waker>>,
    /// Dropped ones that nobody has been told of.
    dropped: Cell<u64>,
    told: Cell<Option<Instant>>,
}

impl MessageLine {
    pub fn new(most: u32, budget: Budget) -> MessageLine {
        MessageLine {
            most: (most as usize).max(1),
            budget,
            waiting: RefCell::default(),
            closed: Cell::new(false),
            waker: Cell::default(),
            dropped: Cell::new(0),
            told: Cell::default(),
        }
    }

    /// Takes a message. `false`: there is no room for it, and it is dropped.
    pub fn push(&self, payload: Vec<u8>) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        let share = match waiting.len() < self.most {
            true => self.budget.take(CALL + payload.len()),
            false => None,
        };
        let Some(share) = share else {
            return false;
        };
        waiting.push_back(Message { payload, share });
        drop(waiting);
        self.wake();
        true
    }

    /// A message has been dropped. How many the log is to be told of, if it is time for that.
    pub fn dropped(&self) -> Option<u64> {
        self.dropped.set(self.dropped.get() + 1);
        let now = Instant::now();
        let quiet = self.told.get().is_none_or(|at| now >= at + QUIET);
        quiet.then(|| self.untold()).flatten()
    }

    /// Those that the log has not been told of.
    pub fn untold(&self) -> Option<u64> {
        let dropped = self.dropped.take();
        (dropped > 0).then(|| {
            self.told.set(Some(Instant::now()));
            dropped
        })
    }

    /// No more will come.
    pub fn close(&self) {
        self.closed.set(true);
        self.wake();
    }

    /// The next one, if it is there.
    pub fn pop(&self) -> Option<Message> {
        self.waiting.borrow_mut().pop_front()
    }

    /// Drops all that wait. The result is how many.
    pub fn clear(&self) -> usize {
        let waiting = self.waiting.take();
        waiting.len()
    }

    /// The next one, when it is there; `None`: no more will come.
    pub async fn next(&self) -> Option<Message> {
        poll_fn(|context| match self.pop() {
            Some(message) => Poll::Ready(Some(message)),
            None if self.closed.get() => Poll::Ready(None),
            None => {
                self.waker.set(Some(context.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_dropped_and_told_of_once() {
        let line = MessageLine::new(2, Budget::default());
        assert!(line.push(b"a".to_vec()));
        assert!(line.push(b"b".to_vec()));
        assert!(!line.push(b"c".to_vec()));
        assert_eq!(line.dropped(), Some(1));
        assert_eq!(line.dropped(), None);
        assert_eq!(line.dropped(), None);
        assert_eq!(line.untold(), Some(2));
        assert_eq!(line.untold(), None);
        assert_eq!(line.pop().map(|m| m.payload), Some(b"a".to_vec()));
        assert!(line.push(b"d".to_vec()));
        assert_eq!(line.clear(), 2);
        assert!(line.pop().is_none());
    }
}
