//! The instances of a plugin in a worker: one runs one call at a time, so there are as many as there are calls at once, up to
//! `instances=`. Requests for which there is none wait in line.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::handler::linked::{Linked, Snapshot, StartError};
use crate::handler::plugin::Plugin;
use crate::handler::services::{Calling, PluginServices};

/// What instances are kept that nobody uses: what comes at once may come at once again.
const MAX_IDLE: usize = 64;

/// Makes instances.
pub struct Maker {
    pub linked: Linked,
    pub calling: Rc<Calling>,
    /// Each call has the state after the start (`isolation=request`).
    pub fresh: bool,
}

impl Maker {
    /// What an instance is offered.
    pub fn services(&self) -> PluginServices {
        PluginServices::new(self.calling.clone())
    }
}

/// Why a request gets no instance.
#[derive(Debug)]
pub enum NoInstance {
    /// All are in use, and as many requests wait as may.
    Full,
    Start(StartError),
}

pub struct Instances {
    maker: Maker,
    most: usize,
    queue: usize,
    idle: RefCell<Vec<Plugin>>,
    /// Those that there are, idle or not.
    live: Cell<usize>,
    line: RefCell<VecDeque<(u64, Waker)>>,
    last: Cell<u64>,
    /// The state after the start, with `isolation=request`.
    state: OnceCell<Snapshot>,
}

impl Instances {
    pub fn new(maker: Maker, most: u32, queue: u32) -> Instances {
        Instances {
            maker,
            most: most as usize,
            queue: queue as usize,
            idle: RefCell::default(),
            live: Cell::new(0),
            line: RefCell::default(),
            last: Cell::new(0),
            state: OnceCell::new(),
        }
    }

    pub fn maker(&self) -> &Maker {
        &self.maker
    }

    /// An instance, if there is one without waiting. `Ok(None)`: all are in use, or others wait.
    pub fn take(&self) -> Result<Option<Plugin>, StartError> {
        match self.line.borrow().is_empty() {
            true => self.take_or_make(),
            false => Ok(None),
        }
    }

    fn take_or_make(&self) -> Result<Option<Plugin>, StartError> {
        let idle = self.idle.borrow_mut().pop();
        match idle {
            Some(instance) => Ok(Some(instance)),
            None if self.live.get() < self.most => self.make().map(Some),
            None => Ok(None),
        }
    }

    /// One more.
    fn make(&self) -> Result<Plugin, StartError> {
        let services = self.maker.services();
        let plugin = match self.maker.fresh {
            false => self.maker.linked.plugin(services)?,
            true => self.state()?.plugin(services)?,
        };
        self.live.set(self.live.get() + 1);
        Ok(plugin)
    }

    /// The state after the start.
    fn state(&self) -> Result<&Snapshot, StartError> {
        if let Some(state) = self.state.get() {
            return Ok(state);
        }
        let state = self.maker.linked.snapshot(self.maker.services())?;
        Ok(self.state.get_or_init(|| state))
    }

    /// An instance, when there is one.
    pub async fn wait(&self) -> Result<Plugin, NoInstance> {
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
    pub fn give_back(&self, mut instance: Plugin) {
        let keeps = !instance.poisoned()
            && match (self.maker.fresh, self.state.get()) {
                (true, Some(state)) => state.rewind(&mut instance, self.maker.services()),
                (true, None) => false,
                (false, _) => true,
            };
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
struct Place<'a> {
    instances: &'a Instances,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.instances
            .line
            .borrow_mut()
            .retain(|(number, _)| *number != self.number);
        // The next one may find an instance as well.
        self.instances.wake();
    }
}
