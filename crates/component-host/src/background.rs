//! What goes on beside a guest: the outgoing requests of WASI 0.2, which run whether the guest waits for them or not.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::platform::LocalFuture;

/// Where an instance puts what is to go on.
#[derive(Clone, Default)]
pub(crate) struct Spawner(Rc<RefCell<Vec<LocalFuture<()>>>>);

/// All that goes on for a call, polled with it.
pub(crate) struct Background {
    new: Spawner,
    going: FuturesUnordered<LocalFuture<()>>,
}

impl Spawner {
    pub fn spawn(&self, task: LocalFuture<()>) {
        self.0.borrow_mut().push(task);
    }

    /// What is not polled yet is dropped.
    fn take(&self) -> Vec<LocalFuture<()>> {
        std::mem::take(&mut *self.0.borrow_mut())
    }
}

impl Background {
    pub fn new(new: Spawner) -> Background {
        Background {
            new,
            going: FuturesUnordered::new(),
        }
    }

    /// Polls what has been woken, and what is new. Answers whether some of it has come to its end, so that the guest may have
    /// something to do.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        self.going.extend(self.new.take());
        let mut ended = false;
        while !self.going.is_empty()
            && matches!(self.going.poll_next_unpin(cx), Poll::Ready(Some(())))
        {
            ended = true;
        }
        ended
    }

    pub fn has_new(&self) -> bool {
        !self.new.0.borrow().is_empty()
    }
}
