//! What a worker process owns: the engine, the instances of the modules, their root contexts and
//! ticks.

pub mod check;
pub mod module;

use std::rc::Rc;

use ngx::ffi::ngx_log_t;
use proxy_wasm_host::{ContextId, Engine, Ticker};

use crate::conf::MainConf;
use crate::conf::chain::FilterId;
use crate::filter::proxy_wasm::instance::{Process, SharedVm, start};
use crate::filter::proxy_wasm::own::OwnVms;
use crate::nginx::log::{Level, Log};
use crate::shm;
use crate::worker::module::Module;

/// The runtime of one worker process, for one configuration.
pub struct Worker {
    engine: Engine,
    log: Log,
    modules: Vec<Rc<Module>>,
    conf: *const MainConf,
    /// Ends guests that run for too long.
    _ticker: Ticker,
}

impl Worker {
    /// Takes the engine that the configuration was checked with, and starts all modules that have filters. A module that does not start
    /// is reported and tried again after a while.
    ///
    /// # Safety
    /// `conf` owns the worker that is made here, so it outlives it; `log` is the cycle's.
    pub unsafe fn start(conf: &MainConf, log: *mut ngx_log_t) -> Option<Worker> {
        // SAFETY: by the contract.
        let log = unsafe { Log::new(log) };
        // With all that the check has loaded and linked, in memory that the master shares with its workers.
        let engine = conf.engine().and_then(|engine| {
            let ticker = engine.start_ticker(conf.shortest_time());
            Ok((engine.clone(), ticker.map_err(|error| error.to_string())?))
        });
        let (engine, ticker) = match engine {
            Ok(engine) => engine,
            Err(error) => {
                log.write(Level::Crit, format_args!("[wasm] no engine: {error}"));
                return None;
            }
        };
        // SAFETY: by the contract: what they share belongs to `conf`.
        if !unsafe { share(conf, log) } {
            log.write(
                Level::Crit,
                format_args!("[wasm] the modules' shared memory is not there"),
            );
            return None;
        }
        let worker = Worker {
            engine,
            log,
            modules: (0..conf.modules.len())
                // SAFETY: by the contract.
                .map(|index| unsafe { Module::new(conf, index, log) })
                .collect(),
            conf,
            _ticker: ticker,
        };
        for filter in &conf.filters {
            worker.instance(filter.module, log);
        }
        Some(worker)
    }

    fn conf(&self) -> &MainConf {
        // SAFETY: by the contract of `start`.
        unsafe { &*self.conf }
    }

    /// The instance and the root context of a filter. `None` when none is to be had: the log has
    /// the reason, and the request is subject to the module's `on_failure=`.
    ///
    /// `own`: the instances that the request has to itself.
    pub fn filter(
        &self,
        filter: FilterId,
        own: &mut OwnVms,
        log: Log,
    ) -> Option<(SharedVm, ContextId)> {
        let index = self.conf().filters.get(filter)?.module;
        let vm = own.of(index, self.instance(index, log)?, log)?;
        let root = vm.root(filter)?;
        Some((vm, root))
    }

    /// The module's instance: the one that runs, or a new one when that has trapped.
    fn instance(&self, index: usize, log: Log) -> Option<SharedVm> {
        let module = self.modules.get(index)?;
        if let Some(vm) = module.running() {
            return Some(vm);
        }
        if module.waits() {
            let name = &self.conf().modules.get(index)?.name;
            log.write(
                Level::Info,
                format_args!("[wasm] {name}: did not start a moment ago"),
            );
            return None;
        }
        self.start_module(module, log)
    }

    /// Starts a module that no request has asked for, unless it runs.
    fn restart(&self, index: usize) {
        if let Some(module) = self.modules.get(index)
            && module.running().is_none()
        {
            self.start_module(module, self.log);
        }
    }

    fn start_module(&self, module: &Rc<Module>, log: Log) -> Option<SharedVm> {
        let index = module.index;
        let conf = self.conf().modules.get(index)?;
        module.forget();
        match start(Process::Worker, &self.engine, self.conf(), index, self.log) {
            Ok(vm) => {
                vm.set_timers();
                let failures = module.started(&vm);
                if failures > 0 {
                    let name = &conf.name;
                    log.write(
                        Level::Notice,
                        format_args!(
                            "[wasm] {name}: started, after {failures} attempts that failed"
                        ),
                    );
                }
                Some(vm)
            }
            Err((_, error)) => {
                let after = module.did_not_start().as_secs();
                log.write(
                    Level::Error,
                    format_args!("[wasm] {}: {error}; tried again in {after} s", conf.name),
                );
                None
            }
        }
    }

    /// The worker exits: the root contexts end.
    pub fn shutdown(&self) {
        for module in &self.modules {
            if let Some(vm) = module.end() {
                vm.shutdown();
            }
        }
        for module in &self.conf().modules {
            if let Some(log_rate) = module.log_rate.get() {
                log_rate.sum_up();
            }
        }
        if let Some(shared) = self.conf().shared() {
            shared.queues.leave();
        }
    }
}

/// Opens what the instances of this process share with those of others. `false` when it is not
/// there.
///
/// # Safety
/// The process serves requests, and `conf` lives as long as it does.
unsafe fn share(conf: &MainConf, log: Log) -> bool {
    let Some(wakers) = conf.wakers() else {
        return false;
    };
    let Some(shared) = conf.zones.open(wakers.clone()) else {
        return false;
    };
    let shared = Rc::new(shared);
    // SAFETY: by the contract.
    unsafe { shm::notify::listen(&shared.queues, wakers, log) };
    conf.set_shared(Some(shared));
    true
}
