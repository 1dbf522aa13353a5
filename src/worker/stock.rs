//! Instances that do one thing at a time each: how many there are, and those that nobody uses.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// So many instances that nobody uses are kept in any case, and as many as are in use: what comes at once may come at once
/// again.
const IDLE: usize = 64;

/// Instances that do one thing at a time each.
pub struct Stock<I> {
    most: usize,
    /// Those that nobody uses, the last used last.
    idle: RefCell<VecDeque<I>>,
    /// Those that there are, idle or not.
    live: Cell<usize>,
}

impl<I> Stock<I> {
    /// None is there yet. `most`: how many there may be.
    pub fn new(most: u32) -> Stock<I> {
        Stock {
            most: most as usize,
            idle: RefCell::default(),
            live: Cell::new(0),
        }
    }

    /// One that nobody uses.
    #[inline]
    pub fn take(&self) -> Option<I> {
        self.idle.borrow_mut().pop_back()
    }

    /// Is there none at all?
    pub fn is_empty(&self) -> bool {
        self.live.get() == 0
    }

    /// May there be another one?
    pub fn has_room(&self) -> bool {
        self.live.get() < self.most
    }

    /// Is there one that nobody uses?
    pub fn has_idle(&self) -> bool {
        !self.idle.borrow().is_empty()
    }

    /// One has been made, and is in use.
    pub fn made(&self) {
        self.live.set(self.live.get() + 1);
    }

    /// One is used no more, and can be again.
    pub fn put_back(&self, instance: I) {
        self.idle.borrow_mut().push_back(instance);
        self.drop_idle();
    }

    /// One that was in use is gone.
    pub fn lost(&self) {
        self.live.set(self.live.get().saturating_sub(1));
        self.drop_idle();
    }

    /// Drops those that nobody uses and that are too many, the one first that was used longest ago.
    fn drop_idle(&self) {
        loop {
            let mut idle = self.idle.borrow_mut();
            let (all, count) = (self.live.get(), idle.len());
            if count <= IDLE.max(all.saturating_sub(count)) {
                return;
            }
            self.live.set(all.saturating_sub(1));
            let oldest = idle.pop_front();
            drop(idle);
            drop(oldest);
        }
    }
}
