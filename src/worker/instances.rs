//! The instances of a guest in a worker of which each runs one call, or one request, at a time: there are as many as there are
//! at once, up to `instances=`. Requests for which there is none wait in line.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// What instances are kept that nobody uses: what comes at once may come at once again.
const MAX_IDLE: usize = 64;

/// Makes instances.
pub trait Source {
    type Instance;
    type Error;

    /// One more.
    fn make(&self) -> Result<Self::Instance, Self::Error>;

    /// One has been used: makes it ready for others. `false`: it is to be dropped.
    fn renew(&self, instance: &mut Self::Instance) -> bool;
}

/// Why a request gets no instance.
#[derive(Debug)]
pub enum NoInstance<E> {
    /// All are in use, and as many requests wait as may.
    Full,
    Start(E),
}

pub struct Instances<S: Source> {
    source: S,
    most: usize,
    queue: usize,
    idle: RefCell<Vec<S::Instance>>,
    /// Those that there are, idle or not.
    live: Cell<usize>,
    line: RefCell<VecDeque<(u64, Waker)>>,
    last: Cell<u64>,
}

impl<S: Source> Instances<S> {
    pub fn new(source: S, most: u32, queue: u32) -> Instances<S> {
        Instances {
            source,
            most: most as usize,
            queue: queue as usize,
            idle: RefCell::default(),
            live: Cell::new(0),
            line: RefCell::default(),
            last: Cell::new(0),
        }
    }

    pub fn source(&self) -> &S {
        &self.source
    }

    /// Is there one without waiting?
    pub fn is_free(&self) -> bool {
        let room = self.live.get() < self.most;
        self.line.borrow().is_empty() && (room || !self.idle.borrow().is_empty())
    }

    /// An instance, if there is one without waiting. `Ok(None)`: all are in use, or others wait.
    #[inline]
    pub fn take(&self) -> Result<Option<S::Instance>, S::Error> {
        match self.line.borrow().is_empty() {
            true => self.take_or_make(),
            false => Ok(None),
        }
    }

    fn take_or_make(&self) -> Result<Option<S::Instance>, S::Error> {
        let idle = self.idle.borrow_mut().pop();
        match idle {
            Some(instance) => Ok(Some(instance)),
            None if self.live.get() < self.most => self.make().map(Some),
            None => Ok(None),
        }
    }

    fn make(&self) -> Result<S::Instance, S::Error> {
        let instance = self.source.make()?;
        self.live.set(self.live.get() + 1);
        Ok(instance)
    }

    /// An instance, when there is one.
    pub async fn wait(&self) -> Result<S::Instance, NoInstance<S::Error>> {
        if self.line.borrow().len() >= self.queue {
            return Err(NoInstance::Full);
        }
        let place = Place {
            instances: self,
            number: self.last.get() + 1,
        };
        self.last.set(place.number);
        poll_fn(|context| {
            let ahead = {
                let line = self.line.borrow();
                line.front().is_some_and(|(first, _)| *first < place.number)
            };
            if !ahead {
                match self.take_or_make() {
                    Ok(Some(instance)) => return Poll::Ready(Ok(instance)),
                    Ok(None) => {}
                    Err(error) => return Poll::Ready(Err(NoInstance::Start(error))),
                }
            }
            let mut line = self.line.borrow_mut();
            let waker = context.waker().clone();
            match line.iter_mut().find(|(known, _)| *known == place.number) {
                Some((_, known)) => *known = waker,
                None => line.push_back((place.number, waker)),
            }
            Poll::Pending
        })
        .await
    }

    /// A call has ended: its instance serves others, unless it has trapped.
    pub fn give_back(&self, mut instance: S::Instance) {
        let keeps = self.source.renew(&mut instance);
        if keeps && self.idle.borrow().len() < MAX_IDLE {
            self.idle.borrow_mut().push(instance);
        } else {
            self.live.set(self.live.get().saturating_sub(1));
            drop(instance);
        }
        self.wake();
    }

    /// An instance has gone with the call that it was in.
    pub fn lost(&self) {
        self.live.set(self.live.get().saturating_sub(1));
        self.wake();
    }

    /// Has the first in line look for an instance.
    fn wake(&self) {
        let first = self.line.borrow().front().map(|(_, waker)| waker.clone());
        if let Some(waker) = first {
            waker.wake();
        }
    }
}

/// A place in line, left when this is dropped.
struct Place<'a, S: Source> {
    instances: &'a Instances<S>,
    number: u64,
}

impl<S: Source> Drop for Place<'_, S> {
    fn drop(&mut self) {
        self.instances
            .line
            .borrow_mut()
            .retain(|(number, _)| *number != self.number);
        // The next one may find an instance as well.
        self.instances.wake();
    }
}
