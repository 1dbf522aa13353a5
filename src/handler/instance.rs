//! An instance in a worker, with what is counted of it.

use std::rc::Rc;

use crate::handler::input::Input;
use crate::handler::linked::{Linked, Snapshot, StartError};
use crate::handler::plugin::{Failure, Function, Plugin};
use crate::handler::services::{Exchange, PluginServices};
use crate::metrics::module::ModuleMetrics;

pub struct Instance {
    plugin: Plugin,
    started: bool,
    /// `None`: the zone has no room for the module.
    metrics: Option<ModuleMetrics>,
}

impl Instance {
    /// One that is to be started before its first call.
    pub fn new(plugin: Plugin, metrics: Option<ModuleMetrics>) -> Instance {
        Instance {
            plugin,
            started: false,
            metrics,
        }
    }

    /// One with the state of another, which has been started.
    pub fn of_state(plugin: Plugin, metrics: Option<ModuleMetrics>) -> Instance {
        if let Some(metrics) = &metrics {
            metrics.runs(plugin.memory_bytes());
        }
        Instance {
            plugin,
            started: true,
            metrics,
        }
    }

    pub fn is_started(&self) -> bool {
        self.started
    }

    /// Starts it, where that does not wait.
    pub fn start_now(&mut self) -> Result<(), StartError> {
        self.plugin.start_now()?;
        self.has_started();
        Ok(())
    }

    /// The same where it may wait.
    pub async fn start(&mut self) -> Result<(), StartError> {
        self.plugin.start().await?;
        self.has_started();
        Ok(())
    }

    fn has_started(&mut self) {
        self.started = true;
        if let Some(metrics) = &self.metrics {
            metrics.started(self.plugin.memory_bytes());
        }
    }

    /// A call begins, for this request, or has ended.
    pub fn serve(&mut self, exchange: Option<Rc<Exchange>>) {
        self.plugin.serve(exchange);
    }

    /// Is it to be dropped?
    pub fn poisoned(&self) -> bool {
        self.plugin.poisoned()
    }

    /// Makes a call that does not wait. The output lies with the instance, so `then` is called for it.
    pub fn call_now<R>(
        &mut self,
        function: Function<'_>,
        input: Input,
        then: impl FnOnce(Result<&[u8], Failure>) -> R,
    ) -> R {
        let metrics = self.metrics.as_ref();
        let result = self.plugin.call_now(function, input, |result| {
            note(metrics, &result);
            then(result)
        });
        self.note_memory();
        result
    }

    /// The same for a call that may wait.
    pub async fn call<R>(
        &mut self,
        function: Function<'_>,
        input: Input,
        then: impl FnOnce(Result<&[u8], Failure>) -> R,
    ) -> R {
        let metrics = self.metrics.as_ref();
        let call = self.plugin.call(function, input, |result| {
            note(metrics, &result);
            then(result)
        });
        let result = call.await;
        self.note_memory();
        result
    }

    /// A call has ended: what it has used for its output is given back, where that is much.
    pub fn trim(&mut self) {
        self.plugin.trim();
    }

    /// The state of one that has started.
    pub fn snapshot(&mut self, linked: &Linked) -> Result<Snapshot, StartError> {
        linked.snapshot(&mut self.plugin)
    }

    /// Takes it back to the state that it was made from. `false`: it is to be dropped.
    pub fn rewind(&mut self, state: &Snapshot, services: PluginServices) -> bool {
        let rewound = state.rewind(&mut self.plugin, services);
        self.note_memory();
        rewound
    }

    fn note_memory(&self) {
        if let Some(metrics) = &self.metrics
            && metrics.is_shown()
            && !self.plugin.poisoned()
        {
            metrics.set_memory(self.plugin.memory_bytes());
        }
    }
}

/// Counts a trap.
fn note(metrics: Option<&ModuleMetrics>, result: &Result<&[u8], Failure>) {
    if let Err(Failure {
        trap: Some(reason), ..
    }) = result
        && let Some(metrics) = metrics
    {
        metrics.trapped(reason);
    }
}
