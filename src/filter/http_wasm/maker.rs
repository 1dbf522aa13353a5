//! What instances of an http-wasm guest are made from, and what they are offered outside of requests.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Instant;

use http_wasm_host::{
    CallError, Engine, LogLevel, Program, Proxy, Services, Snapshot, StartError, Vm, VmConfig,
};

use crate::filter::http_wasm::exchange::View;
use crate::metrics::module::ModuleMetrics;
use crate::nginx::log::Log;
use crate::nginx::log_rate::LogRate;
use crate::worker::guest_log;

/// What nginx offers to an instance outside of requests, and what a module writes to the log.
#[derive(Clone)]
pub struct Outside {
    pub name: Rc<str>,
    /// The cycle's.
    pub log: Log,
    pub rate: Rc<LogRate>,
}

impl Services for Outside {
    fn log_enabled(&self, level: LogLevel) -> bool {
        guest_log::is_enabled(self.log, level)
    }

    fn log(&self, level: LogLevel, message: &[u8]) {
        guest_log::write(self.log, &self.rate, &self.name, level, message);
    }

    fn log_level(&self) -> LogLevel {
        guest_log::least_level(self.log)
    }
}

impl Proxy for Outside {
    type Exchange = View;
}

/// An instance. It is moved about, so it is in a box of its own.
pub type Instance = Box<Running>;

/// An instance, and what it counts.
pub struct Running {
    pub vm: Vm<Outside>,
    metrics: Option<ModuleMetrics>,
}

impl Running {
    /// Makes a call, whose time and outcome are counted where anybody wants to know.
    #[inline]
    pub fn call<R>(
        &mut self,
        function: &'static str,
        call: impl FnOnce(&mut Vm<Outside>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let shown = self.metrics.as_ref().is_some_and(ModuleMetrics::is_shown);
        let since = shown.then(Instant::now);
        let result = call(&mut self.vm);
        if let Some(metrics) = &self.metrics {
            if let Some(since) = since {
                metrics.callback_ended(function, since.elapsed());
                metrics.set_memory(self.vm.memory_bytes());
            }
            if let Err(CallError::Trap { reason, .. }) = &result {
                metrics.trapped(reason);
            }
        }
        result
    }
}

/// Makes instances.
pub struct Maker {
    pub engine: Engine,
    pub program: Program,
    pub config: Rc<VmConfig>,
    pub outside: Outside,
    pub metrics: Option<Rc<ModuleMetrics>>,
    /// Each request has the state after the start (`isolation=request`).
    pub fresh: bool,
    /// That state, from the first one on.
    pub state: OnceCell<Snapshot<Outside>>,
}

impl Maker {
    /// The cycle's.
    pub fn log(&self) -> Log {
        self.outside.log
    }

    fn start(&self) -> Result<Vm<Outside>, StartError> {
        let outside = self.outside.clone();
        Vm::start(&self.engine, &self.program, outside, self.config.clone())
    }

    /// The state after the start; it is taken of an instance that is thrown away.
    fn state(&self) -> Result<&Snapshot<Outside>, StartError> {
        if let Some(state) = self.state.get() {
            return Ok(state);
        }
        let state = self.start()?.snapshot(&self.engine)?;
        Ok(self.state.get_or_init(|| state))
    }

    /// One more.
    pub fn make(&self) -> Result<Instance, StartError> {
        let metrics = self.metrics.as_ref().map(|all| all.of_another());
        let made = match self.fresh {
            false => self.start(),
            true => self
                .state()
                .and_then(|state| state.vm(self.outside.clone())),
        };
        if let Some(metrics) = &metrics {
            match &made {
                Ok(vm) if self.fresh => metrics.runs(vm.memory_bytes()),
                Ok(vm) => metrics.started(vm.memory_bytes()),
                Err(StartError::Trap { reason, .. }) => metrics.start_failed(Some(reason)),
                Err(_) => metrics.start_failed(None),
            }
        }
        Ok(Box::new(Running { vm: made?, metrics }))
    }

    /// One has had a request: makes it ready for others. `false`: it is to be dropped.
    pub fn renew(&self, instance: &mut Instance) -> bool {
        let vm = &mut instance.vm;
        vm.end();
        !vm.poisoned()
            && match (self.fresh, self.state.get()) {
                (true, Some(state)) => state.rewind(vm, self.outside.clone()),
                (true, None) => false,
                (false, _) => true,
            }
    }
}
