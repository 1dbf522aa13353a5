//! What a worker process owns: the engine, the instances of the modules, their root contexts and
//! ticks.

mod foreign;
mod instance;
mod outbound;
mod proxy;
mod tick;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ngx::ffi::ngx_log_t;
use proxy_wasm_host::{ContextId, Engine, Ticker};

pub use instance::{Process, SharedVm, Waiter, WorkerVm, start};

use crate::conf::MainConf;
use crate::http::chain::FilterId;
use crate::nginx::log::{Level, Log};
use crate::shm;

/// How long a module that failed to start is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// A module in a worker.
struct Module {
    instance: RefCell<Option<SharedVm>>,
    retry_at: Cell<Option<Instant>>,
}

/// The runtime of one worker process, for one configuration.
pub struct Worker {
    engine: Engine,
    log: Log,
    modules: Vec<Module>,
    conf: *const MainConf,
    /// Ends guests that run for too long.
    _ticker: Ticker,
}

impl Worker {
    /// Makes the engine and starts all modules that have filters. A module that does not start
    /// is reported and tried again when a request needs it.
    ///
    /// # Safety
    /// `conf` owns the worker that is made here, so it outlives it; `log` is the cycle's.
    pub unsafe fn start(conf: &MainConf, log: *mut ngx_log_t) -> Option<Worker> {
        // SAFETY: by the contract.
        let log = unsafe { Log::new(log) };
        let engine = Engine::new().and_then(|engine| {
            let ticker = engine.start_ticker(conf.shortest_cpu_time())?;
            Ok((engine, ticker))
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
            modules: conf
                .modules
                .iter()
                .map(|_| Module {
                    instance: RefCell::new(None),
                    retry_at: Cell::new(None),
                })
                .collect(),
            conf,
            _ticker: ticker,
        };
        for filter in 0..conf.filters.len() {
            worker.filter(filter, log);
        }
        Some(worker)
    }

    fn conf(&self) -> &MainConf {
        // SAFETY: by the contract of `start`.
        unsafe { &*self.conf }
    }

    /// The instance and the root context of a filter. `None` when its module does not start; the
    /// reason goes to `log`.
    pub fn filter(&self, filter: FilterId, log: Log) -> Option<(SharedVm, ContextId)> {
        let index = self.conf().filters.get(filter)?.module;
        let vm = self.instance(index, log)?;
        let root = vm.root(filter)?;
        Some((vm, root))
    }

    /// The module's instance: the one that runs, or a new one when that has trapped.
    fn instance(&self, index: usize, log: Log) -> Option<SharedVm> {
        let module = self.modules.get(index)?;
        if let Some(vm) = module.instance.borrow().as_ref()
            && vm.is_alive()
        {
            return Some(vm.clone());
        }
        module.instance.replace(None);
        let conf = self.conf().modules.get(index)?;
        if module.retry_at.get().is_some_and(|at| Instant::now() < at) {
            log.write(
                Level::Error,
                format_args!("[wasm] {}: did not start a moment ago", conf.name),
            );
            return None;
        }
        match start(Process::Worker, &self.engine, self.conf(), index, self.log) {
            Ok(vm) => {
                vm.set_timers();
                module.retry_at.set(None);
                module.instance.replace(Some(vm.clone()));
                Some(vm)
            }
            Err((_, error)) => {
                module.retry_at.set(Some(Instant::now() + RETRY));
                log.write(Level::Error, format_args!("[wasm] {}: {error}", conf.name));
                None
            }
        }
    }

    /// The worker exits: the root contexts end.
    pub fn shutdown(&self) {
        for module in &self.modules {
            if let Some(vm) = module.instance.take() {
                vm.shutdown();
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
    unsafe { shm::listen(&shared.queues, wakers, log) };
    conf.set_shared(Some(shared));
    true
}
