//! A running instance, shared by all that call into it.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use proxy_wasm_host::{CallError, ContextId, Engine, PluginConfig, StartError, Vm};

use crate::conf::MainConf;
use crate::conf::chain::FilterId;
use crate::conf::policy::Isolation;
use crate::filter::proxy_wasm::own::{Own, Template};
use crate::filter::proxy_wasm::proxy::{Link, NginxProxy};
use crate::filter::proxy_wasm::tick::Timer;
use crate::metrics::module::ModuleMetrics;
use crate::net::turn::Turn;
use crate::nginx::log::{Level, Log};

/// An instance in a worker.
pub type WorkerVm = Vm<NginxProxy>;

/// Waits for a callback into an instance, and has to know when there will be none.
pub trait Waiter {
    fn instance_failed(&self);
}

/// A running instance, shared by the requests that have a context in it.
#[derive(Clone)]
pub struct SharedVm(pub Rc<Instance>);

pub struct Instance {
    pub name: Rc<str>,
    pub turn: Rc<Turn>,
    pub metrics: Option<Rc<ModuleMetrics>>,
    /// Shared, so that it can outlive this when it is used again.
    pub vm: Rc<RefCell<WorkerVm>>,
    /// Root contexts, by filter.
    pub roots: Rc<[(FilterId, ContextId)]>,
    pub ticks: Rc<RefCell<Vec<(ContextId, u32)>>>,
    pub waiters: RefCell<Vec<Weak<dyn Waiter>>>,
    /// Boxed, because nginx's tree of timers points at their events.
    #[allow(clippy::vec_box)]
    pub timers: RefCell<Vec<Box<Timer>>>,
    /// What instances of requests' own start from.
    pub template: Option<Template>,
    /// It is such an instance.
    pub own: Option<Own>,
}

impl SharedVm {
    /// The module's name in the configuration.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What its module may take of a turn of nginx's event loop.
    pub fn turn(&self) -> &Rc<Turn> {
        &self.0.turn
    }

    /// Calls into the instance. A call from within one of its own host calls is refused.
    pub fn call<R>(
        &self,
        call: impl FnOnce(&mut WorkerVm) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let Ok(mut vm) = self.0.vm.try_borrow_mut() else {
            return Err(CallError::Poisoned);
        };
        let result = call(&mut vm);
        let poisoned = vm.poisoned();
        if let Some(metrics) = &self.0.metrics
            && metrics.is_shown()
            && !poisoned
        {
            metrics.set_memory(vm.memory_bytes());
        }
        drop(vm);
        if !self.0.ticks.borrow().is_empty() {
            self.set_timers();
        }
        if poisoned {
            self.fail(match &result {
                Err(CallError::Trap { reason, .. }) => reason,
                _ => "",
            });
        }
        result
    }

    /// Is it this very instance?
    pub fn is(&self, other: &SharedVm) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// May it still be called? A callback that runs may.
    pub fn is_alive(&self) -> bool {
        self.0.vm.try_borrow().map_or(true, |vm| !vm.poisoned())
    }

    /// The root context of a filter.
    pub fn root(&self, filter: FilterId) -> Option<ContextId> {
        let mut roots = self.0.roots.iter();
        roots.find(|(id, _)| *id == filter).map(|(_, root)| *root)
    }

    /// Calls into the instance from nginx's event loop, for what is no request's; an error goes
    /// to the instance's log.
    pub fn call_logged(&self, call: impl FnOnce(&mut WorkerVm) -> Result<(), CallError>) {
        if let Err(error) = self.call(call)
            && let Ok(vm) = self.0.vm.try_borrow()
        {
            vm.proxy().log.write(
                Level::Error,
                format_args!("[wasm] {}: {error}", self.name()),
            );
        }
        self.end_lingering();
    }

    /// The worker exits: the root contexts end.
    pub fn shutdown(&self) {
        self.0.timers.borrow_mut().clear();
        if let Ok(mut vm) = self.0.vm.try_borrow_mut() {
            vm.shutdown();
        }
    }

    /// Has `waiter` told when the instance fails.
    pub fn watch(&self, waiter: Weak<dyn Waiter>) {
        let mut waiters = self.0.waiters.borrow_mut();
        // Those that are gone are dropped when the list would have to grow anyway.
        if waiters.len() == waiters.capacity() {
            waiters.retain(|waiter| waiter.strong_count() > 0);
        }
        waiters.push(waiter);
    }

    /// The instance has trapped, for this reason if it is known: nothing more is called in it.
    fn fail(&self, reason: &str) {
        if let Some(metrics) = &self.0.metrics {
            metrics.trapped(reason);
        }
        self.0.timers.borrow_mut().clear();
        if let Ok(vm) = self.0.vm.try_borrow() {
            vm.proxy().end_calls();
            vm.proxy().leave_queues();
        }
        let waiters = self.0.waiters.take();
        for waiter in waiters.iter().filter_map(Weak::upgrade) {
            waiter.instance_failed();
        }
    }

    /// Carries out what guests have asked of `proxy_set_tick_period_milliseconds`.
    pub fn set_timers(&self) {
        let asked = std::mem::take(&mut *self.0.ticks.borrow_mut());
        let mut timers = self.0.timers.borrow_mut();
        for (root, period) in asked {
            timers.retain(|timer| timer.root != root);
            if period > 0
                && let Ok(vm) = self.0.vm.try_borrow()
            {
                timers.push(Timer::start(self, root, period, vm.proxy().log));
            }
        }
    }
}

/// What kind of process an instance is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// One that reads the configuration: the instance is thrown away, there is no event loop and
    /// no shared memory yet.
    Check,
    /// One that serves requests.
    Worker,
}

/// Starts an instance of a module with a root context for each of its filters. An error names the
/// filter that failed, or none when the instance itself did.
pub fn start(
    process: Process,
    engine: &Engine,
    conf: &MainConf,
    module: usize,
    log: Log,
) -> Result<SharedVm, (Option<FilterId>, StartError)> {
    let link = Link::default();
    let module_conf = &conf.modules[module];
    let proxy = NginxProxy::new(process, conf, module, log, link.clone());
    let (name, ticks) = (proxy.name.clone(), proxy.ticks.clone());
    let metrics = proxy.metrics.clone();
    let failed = |filter, error| {
        if let Some(metrics) = &metrics {
            metrics.start_failed(&error);
        }
        (filter, error)
    };
    let mut vm = Vm::start(engine, &module_conf.program, proxy, module_conf.vm.clone())
        .map_err(|error| failed(None, error))?;
    let mut roots = Vec::new();
    let filters = conf.filters.iter().enumerate();
    for (id, filter) in filters.filter(|(_, filter)| filter.module == module) {
        let root = vm
            .create_root(PluginConfig {
                name: module_conf.name.as_bytes().to_vec(),
                root_id: filter.root_id.clone(),
                configuration: filter.configuration.clone(),
            })
            .map_err(|error| failed(Some(id), error))?;
        roots.push((id, root));
    }
    let template = match (process, module_conf.isolation) {
        (Process::Worker, Isolation::Request) => {
            let template = Template::new(&mut vm, engine, module_conf.limits.instances);
            Some(template.map_err(|error| failed(None, error))?)
        }
        _ => None,
    };
    if let Some(metrics) = &metrics {
        metrics.started(vm.memory_bytes());
    }
    let instance = Rc::new(Instance {
        name,
        turn: module_conf.turn.clone(),
        metrics,
        vm: Rc::new(RefCell::new(vm)),
        roots: roots.into(),
        ticks,
        waiters: RefCell::default(),
        timers: RefCell::default(),
        template,
        own: None,
    });
    link.set(&instance);
    Ok(SharedVm(instance))
}
