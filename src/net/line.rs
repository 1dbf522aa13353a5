//! Tasks that wait for something there is too little of: who came first is served first.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Who waits, each with a number that grows.
#[derive(Default)]
pub struct Line {
    waiting: RefCell<VecDeque<(u64, Waker)>>,
    last: Cell<u64>,
}

impl Line {
    pub fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// Waits until nobody is ahead and `take` has something. It is asked again each time that the first is [woken](Line::wake).
    pub async fn wait<T>(&self, mut take: impl FnMut() -> Option<T>) -> T {
        let place = Place {
            line: self,
            number: self.last.get() + 1,
        };
        self.last.set(place.number);
        poll_fn(|context| {
            if !place.others_are_ahead()
                && let Some(taken) = take()
            {
                return Poll::Ready(taken);
            }
            place.keep(context.waker());
            Poll::Pending
        })
        .await
    }

    /// Has the first one look whether there is something.
    pub fn wake(&self) {
        let first = self
            .waiting
            .borrow()
            .front()
            .map(|(_, waker)| waker.clone());
        if let Some(waker) = first {
            waker.wake();
        }
    }
}

/// A place in line, left when this is dropped.
struct Place<'a> {
    line: &'a Line,
    number: u64,
}

impl Place<'_> {
    fn others_are_ahead(&self) -> bool {
        let waiting = self.line.waiting.borrow();
        waiting.front().is_some_and(|(n, _)| *n < self.number)
    }

    fn keep(&self, waker: &Waker) {
        let mut waiting = self.line.waiting.borrow_mut();
        match waiting.binary_search_by_key(&self.number, |(n, _)| *n) {
            Ok(place) => {
                if let Some((_, known)) = waiting.get_mut(place) {
                    known.clone_from(waker);
                }
            }
            // The last number of all.
            Err(_) => waiting.push_back((self.number, waker.clone())),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.line.waiting.borrow_mut();
        let Ok(place) = waiting.binary_search_by_key(&self.number, |(n, _)| *n) else {
            return;
        };
        waiting.remove(place);
        drop(waiting);
        if place == 0 {
            // There may be something for the next one as well.
            self.line.wake();
        }
    }
}
