//! The instances of a plugin in a worker: one runs one call at a time, so there are as many as there are calls at once, up to
//! `instances=`. Requests for which there is none wait in line.

use std::cell::OnceCell;
use std::rc::Rc;

use crate::handler::instance::Instance;
use crate::handler::linked::{Linked, Snapshot, StartError};
use crate::handler::services::{Calling, PluginServices};
use crate::metrics::module::ModuleMetrics;
use crate::net::line::Line;
use crate::worker::attempts::Attempts;
use crate::worker::stock::Stock;

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
    queue: usize,
    stock: Stock<Instance>,
    line: Line,
    /// The state after the start, with `isolation=request`.
    state: OnceCell<Snapshot>,
}

impl Instances {
    pub fn new(maker: Maker, most: u32, queue: u32) -> Instances {
        Instances {
            maker,
            queue: queue as usize,
            stock: Stock::new(most),
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
        if let Some(instance) = self.stock.take() {
            return Some(Ok(instance));
        }
        if !self.stock.has_room() {
            return None;
        }
        if self.maker.attempts.waits() {
            // Those that there are serve one after the other.
            return self.stock.is_empty().then_some(Err(NoInstance::Later));
        }
        Some(self.make().map_err(NoInstance::Start))
    }

    /// One more.
    fn make(&self) -> Result<Instance, StartError> {
        let maker = &self.maker;
        let instance = match maker.fresh {
            false => Instance::new(maker.linked.plugin(maker.services())?, maker.metrics()),
            true => Instance::of_state(self.state()?.plugin(maker.services())?, maker.metrics()),
        };
        self.stock.made();
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

    /// The same for one who waits however many others do.
    pub async fn wait_for_one(&self) -> Result<Instance, NoInstance> {
        self.line.wait(|| self.take_or_make()).await
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
        self.stock.put_back(instance);
        self.line.wake();
    }

    /// An instance has gone, with the call that it was in perhaps.
    pub fn lost(&self) {
        self.stock.lost();
        self.line.wake();
    }
}
