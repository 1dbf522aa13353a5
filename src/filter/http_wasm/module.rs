//! An http-wasm guest with the configuration of a `wasm_filter`: its instances, of which each has one request at a time.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Instant;

use http_wasm_host::{
    CallError, Engine, Imports, LogLevel, Program, Proxy, Services, Snapshot, StartError, Vm,
    VmConfig,
};

use crate::conf::chain::FilterId;
use crate::conf::policy::Isolation;
use crate::filter::http_wasm::exchange::View;
use crate::metrics::module::ModuleMetrics;
use crate::net::turn::Turn;
use crate::nginx::log::Log;
use crate::nginx::log_rate::LogRate;
use crate::worker::guest_log;
use crate::worker::instances::{Instances, Source};
use crate::worker::process::{Main, ProcessKind};

/// What nginx offers to an instance outside of requests, and what a module writes to the log.
#[derive(Clone)]
pub struct Outside {
    pub name: Rc<str>,
    /// The cycle's.
    log: Log,
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
    engine: Engine,
    program: Program,
    config: Rc<VmConfig>,
    pub outside: Outside,
    metrics: Option<Rc<ModuleMetrics>>,
    /// Each request has the state after the start (`isolation=request`).
    fresh: bool,
    /// That state, from the first one on.
    state: OnceCell<Snapshot<Outside>>,
}

impl Maker {
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
}

impl Source for Maker {
    type Instance = Instance;
    type Error = StartError;

    fn make(&self) -> Result<Instance, StartError> {
        let metrics = self.metrics.as_ref().map(|all| all.of_request());
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
                Err(StartError::Trap { reason, .. }) => metrics.start_trapped(reason),
                Err(_) => metrics.not_started(),
            }
        }
        Ok(Box::new(Running { vm: made?, metrics }))
    }

    fn renew(&self, instance: &mut Instance) -> bool {
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

/// A guest with its configuration.
pub struct Module {
    pub instances: Instances<Maker>,
    pub turn: Rc<Turn>,
    pub imports: Imports,
}

impl Module {
    /// The error is for the log.
    pub fn new(
        kind: ProcessKind,
        main: &Main,
        filter: FilterId,
        log: Log,
    ) -> Result<Module, String> {
        let filter = &main.conf.filters[filter];
        let (index, configuration) = (filter.module, filter.configuration.clone());
        let conf = &main.conf.modules[index];
        let program = conf.guest.middleware();
        let program = program.ok_or_else(|| format!("is {}", conf.guest.kind()))?;
        let outside = Outside {
            name: conf.name.as_str().into(),
            log,
            rate: main.log_rate(kind, index, log),
        };
        let maker = Maker {
            engine: main.conf.engine()?.clone(),
            program: program.clone(),
            config: Rc::new(conf.http_wasm_config(configuration)),
            outside,
            metrics: main.module_metrics(kind, index),
            fresh: conf.isolation == Isolation::Request,
            state: OnceCell::new(),
        };
        let limits = &conf.limits;
        Ok(Module {
            imports: program.imports(),
            instances: Instances::new(maker, limits.instances, limits.queue),
            turn: main.module(index).turn.clone(),
        })
    }

    pub fn outside(&self) -> &Outside {
        &self.instances.source().outside
    }
}
