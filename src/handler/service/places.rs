//! How many requests a component answers at a time, and who waits for a place.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// The places of a component in a worker.
pub struct Places {
    most: usize,
    queue: usize,
    used: Cell<usize>,
    line: RefCell<VecDeque<(u64, Waker)>>,
    last: Cell<u64>,
}

/// As many wait as may.
#[derive(Debug)]
pub struct Full;

/// A place, until this is dropped.
pub struct Place(Rc<Places>);

impl Places {
    pub fn new(most: u32, queue: u32) -> Rc<Places> {
        Rc::new(Places {
            most: most as usize,
            queue: queue as usize,
            used: Cell::new(0),
            line: RefCell::default(),
            last: Cell::new(0),
        })
    }

    fn is_free(&self) -> bool {
        self.used.get() < self.most
    }

    /// A place, when there is one; those who wait get theirs in order.
    pub async fn take(self: &Rc<Self>) -> Result<Place, Full> {
        if !self.is_at_hand() && self.line.borrow().len() >= self.queue {
            return Err(Full);
        }
        Ok(self.wait_for_one().await)
    }

    /// The same for one who waits however many others do.
    pub async fn wait_for_one(self: &Rc<Self>) -> Place {
        if !self.is_at_hand() {
            self.wait().await;
        }
        self.used.set(self.used.get() + 1);
        Place(self.clone())
    }

    fn is_at_hand(&self) -> bool {
        self.is_free() && self.line.borrow().is_empty()
    }

    async fn wait(&self) {
        let number = self.last.get() + 1;
        self.last.set(number);
        let waits = Waits {
            places: self,
            number,
        };
        poll_fn(|context| {
            let mut line = self.line.borrow_mut();
            let ahead = line.front().is_some_and(|(first, _)| *first < number);
            if !ahead && self.is_free() {
                return Poll::Ready(());
            }
            let waker = context.waker().clone();
            match line.binary_search_by_key(&number, |(known, _)| *known) {
                Ok(at) => line[at].1 = waker,
                Err(at) => line.insert(at, (number, waker)),
            }
            Poll::Pending
        })
        .await;
        drop(waits);
    }

    /// Has the first in line look for a place.
    fn wake(&self) {
        let first = self.line.borrow().front().map(|(_, waker)| waker.clone());
        if let Some(waker) = first
            && self.is_free()
        {
            waker.wake();
        }
    }
}

/// Somebody in line, who leaves it when this is dropped.
struct Waits<'a> {
    places: &'a Places,
    number: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut line = self.places.line.borrow_mut();
        if let Ok(at) = line.binary_search_by_key(&self.number, |(known, _)| *known) {
            line.remove(at);
        }
        drop(line);
        // The next one may find a place as well.
        self.places.wake();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let places = &self.0;
        places.used.set(places.used.get().saturating_sub(1));
        places.wake();
    }
}
