//! The instances of a plugin in a worker: one runs one call at a time, so there are as many as there are calls at once, up to
//! `instances=`. Requests for which there is none wait in line.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use crate::handler::instance::Instance;
use crate::handler::linked::{Linked, Snapshot, StartError};
use crate::handler::services::{Calling, PluginServices};
use crate::metrics::module::ModuleMetrics;
use crate::net::line::Line;
use crate::worker::attempts::Attempts;

/// So many instances that nobody uses are kept in any case, and as many as are in use: what comes at once may come at once
/// again.
const IDLE: usize = 64;

/// Makes instances.
pub struct Maker {
    pub linked: Linked,
    pub calling: Rc<Calling>,
    pub attempts: Rc<Attempts>,
    /// Each call has the state after the start (`isolation=request`).
    pub fresh: bool,
}

impl Maker {
    /// What an instance is offered.
    pub fn services(&self) -> PluginServices {
        PluginServices::new(self.calling.clone())
    }

    /// What one instance counts.
    fn metrics(&self) -> Option<ModuleMetrics> {
        let metrics = self.calling.metrics.as_ref();
        metrics.map(|metrics| metrics.of_another())
    }
}

/// Why a request gets no instance.
#[derive(Debug)]
pub enum NoInstance {
    /// All are in use, and as many requests wait as may.
    Full,
    /// One did not start a moment ago.
    Later,
    Start(StartError),
}

pub struct Instances {
    maker: Maker,
    most: usize,
    queue: usize,
    /// Those that nobody uses, the last used last.
    idle: RefCell<VecDeque<Instance>>,
    /// Those that there are, idle or not.
    live: Cell<usize>,
    line: Line,
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
            line: Line::default(),
            state: OnceCell::new(),
        }
    }

    pub fn maker(&self) -> &Maker {
        &self.maker
    }

    /// An instance, if there is one without waiting. `None`: all are in use, or others wait.
    pub fn take(&self) -> Option<Result<Instance, NoInstance>> {
        match self.line.is_empty() {
            true => self.take_or_make(),
            false => None,
        }
    }

    fn take_or_make(&self) -> Option<Result<Instance, NoInstance>> {
        let idle = self.idle.borrow_mut().pop_back();
        if let Some(instance) = idle {
            return Some(Ok(instance));
        }
        match self.live.get() {
            live if live >= self.most => None,
            0 if self.maker.attempts.waits() => Some(Err(NoInstance::Later)),
            // Those that there are serve one after the other.
            _ if self.maker.attempts.waits() => None,
            _ => Some(self.make().map_err(NoInstance::Start)),
        }
    }

    /// One more.
    fn make(&self) -> Result<Instance, StartError> {
        let maker = &self.maker;
        let instance = match maker.fresh {
            false => Instance::new(maker.linked.plugin(maker.services())?, maker.metrics()),
            true => Instance::of_state(self.state()?.plugin(maker.services())?, maker.metrics()),
        };
        self.live.set(self.live.get() + 1);
        Ok(instance)
    }

    /// The state after the start.
    fn state(&self) -> Result<&Snapshot, StartError> {
        if let Some(state) = self.state.get() {
            return Ok(state);
        }
        let maker = &self.maker;
        // It is taken of an instance that is thrown away.
        let mut instance = Instance::new(maker.linked.plugin(maker.services())?, maker.metrics());
        instance.start_now()?;
        let state = instance.snapshot(&maker.linked)?;
        maker.attempts.succeeded(maker.calling.log);
        Ok(self.state.get_or_init(|| state))
    }

    /// An instance, when there is one.
    pub async fn wait(&self) -> Result<Instance, NoInstance> {
        match self.line.len() < self.queue {
            true => self.line.wait(|| self.take_or_make()).await,
            false => Err(NoInstance::Full),
        }
    }

    /// A call has ended: its instance serves others, unless it has trapped.
    pub fn give_back(&self, mut instance: Instance) {
        let keeps = !instance.poisoned()
            && match (self.maker.fresh, self.state.get()) {
                (true, Some(state)) => instance.rewind(state, self.maker.services()),
                (true, None) => false,
                (false, _) => {
                    instance.trim();
                    true
                }
            };
        if !keeps {
            drop(instance);
            return self.lost();
        }
        self.idle.borrow_mut().push_back(instance);
        self.drop_idle();
        self.line.wake();
    }

    /// An instance has gone, with the call that it was in perhaps.
    pub fn lost(&self) {
        self.live.set(self.live.get().saturating_sub(1));
        self.drop_idle();
        self.line.wake();
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
