//! A running instance, shared by all that call into it.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use proxy_wasm_host::{Action, CallError, ContextId, PluginConfig, StartError, Vm};

use crate::conf::chain::FilterId;
use crate::conf::policy::Isolation;
use crate::filter::chain::guest::{Callback, Failure, Guest};
use crate::filter::chain::stage::Direction;
use crate::filter::proxy_wasm::per_request::{PerRequest, Template};
use crate::filter::proxy_wasm::proxy::{Link, NginxProxy};
use crate::filter::proxy_wasm::stream::Stream;
use crate::filter::proxy_wasm::tick::Tick;
use crate::metrics::module::ModuleMetrics;
use crate::net::turn::Turn;
use crate::nginx::log::{Level, Log};
use crate::worker::check::Refusal;
use crate::worker::modules::Waiter;
use crate::worker::process::{Main, ProcessKind};

/// An instance in a worker.
pub type WorkerVm = Vm<NginxProxy>;

/// A running instance, shared by the requests that have a context in it.
pub struct Instance {
    /// This instance.
    pub this: Weak<Instance>,
    pub name: Rc<str>,
    pub turn: Rc<Turn>,
    pub metrics: Option<Rc<ModuleMetrics>>,
    /// Shared, so that it can outlive this when it is used again.
    pub vm: Rc<RefCell<WorkerVm>>,
    /// Root contexts, by filter.
    pub roots: Rc<[(FilterId, ContextId)]>,
    pub ticks: Rc<RefCell<Vec<(ContextId, u32)>>>,
    pub waiters: RefCell<Vec<Weak<dyn Waiter>>>,
    pub timers: RefCell<Vec<Tick>>,
    /// What instances of requests' own start from.
    pub template: Option<Template>,
    /// It is such an instance.
    pub own: Option<PerRequest>,
}

impl Instance {
    /// Calls into the instance. A call from within one of its own host calls is refused.
    #[inline]
    pub fn call<R>(
        &self,
        call: impl FnOnce(&mut WorkerVm) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let Ok(mut vm) = self.vm.try_borrow_mut() else {
            return Err(CallError::Poisoned);
        };
        let result = call(&mut vm);
        let poisoned = vm.poisoned();
        if let Some(metrics) = &self.metrics
            && metrics.is_shown()
            && !poisoned
        {
            metrics.set_memory(vm.memory_bytes());
        }
        drop(vm);
        if !self.ticks.borrow().is_empty() {
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

    /// Makes a context for a stream. `headers_follow`: the next callback is that of its request's headers, in which the guest can be
    /// told of it.
    pub fn create_stream(
        &self,
        root: ContextId,
        stream: Stream,
        headers_follow: bool,
    ) -> Result<ContextId, CallError> {
        if headers_follow
            && let Ok(mut vm) = self.vm.try_borrow_mut()
            && vm.joins_creation()
        {
            return vm.announce_stream(root, stream);
        }
        self.call(|vm| vm.create_stream(root, stream))
    }

    /// May it still be called? A callback that runs may.
    pub fn is_alive(&self) -> bool {
        self.vm.try_borrow().map_or(true, |vm| !vm.poisoned())
    }

    /// The root context of a filter.
    pub fn root(&self, filter: FilterId) -> Option<ContextId> {
        let mut roots = self.roots.iter();
        roots.find(|(id, _)| *id == filter).map(|(_, root)| *root)
    }

    /// Makes a root context that no directive names.
    pub fn create_root(&self, config: PluginConfig) -> Result<ContextId, StartError> {
        let mut refused = None;
        let created = self.call(|vm| match vm.create_root(config) {
            Ok(root) => Ok(Some(root)),
            Err(StartError::Call(error)) => Err(error),
            Err(error) => {
                refused = Some(error);
                Ok(None)
            }
        })?;
        created.ok_or_else(|| refused.unwrap_or(StartError::Call(CallError::UnknownContext)))
    }

    /// Ends a root context that was made so.
    pub fn end_root(&self, root: ContextId) {
        self.timers.borrow_mut().retain(|timer| timer.root != root);
        if self.is_alive() {
            self.call_logged(|vm| vm.finish(root, false));
        }
    }

    /// Is a context to be told of any calls?
    pub fn has_calls_of(&self, context: ContextId) -> bool {
        let vm = self.vm.try_borrow();
        vm.is_ok_and(|vm| !vm.poisoned() && vm.has_calls_of(context))
    }

    /// Calls into the instance from nginx's event loop, for what is no request's; an error goes
    /// to the instance's log.
    pub fn call_logged(&self, call: impl FnOnce(&mut WorkerVm) -> Result<(), CallError>) {
        if let Err(error) = self.call(call)
            && let Ok(vm) = self.vm.try_borrow()
        {
            vm.proxy()
                .log
                .write(Level::Error, format_args!("[wasm] {}: {error}", self.name));
        }
        self.end_lingering();
    }

    /// The worker exits: the root contexts end.
    pub fn shutdown(&self) {
        self.timers.borrow_mut().clear();
        if let Ok(mut vm) = self.vm.try_borrow_mut() {
            vm.shutdown();
            vm.proxy().leave_queues();
        }
    }

    /// Has `waiter` told when the instance fails.
    pub fn watch(&self, waiter: Weak<dyn Waiter>) {
        let mut waiters = self.waiters.borrow_mut();
        // Those that are gone are dropped when the list would have to grow anyway.
        if waiters.len() == waiters.capacity() {
            waiters.retain(|waiter| waiter.strong_count() > 0);
        }
        waiters.push(waiter);
    }

    /// The instance has trapped, for this reason if it is known: nothing more is called in it.
    fn fail(&self, reason: &str) {
        if let Some(metrics) = &self.metrics {
            metrics.trapped(reason);
        }
        self.timers.borrow_mut().clear();
        if let Ok(vm) = self.vm.try_borrow() {
            vm.proxy().end_calls();
            vm.proxy().leave_queues();
        }
        let waiters = self.waiters.take();
        for waiter in waiters.iter().filter_map(Weak::upgrade) {
            waiter.instance_failed();
        }
    }

    /// Carries out what guests have asked of `proxy_set_tick_period_milliseconds`.
    pub fn set_timers(&self) {
        let asked = std::mem::take(&mut *self.ticks.borrow_mut());
        let mut timers = self.timers.borrow_mut();
        for (root, period) in asked {
            timers.retain(|timer| timer.root != root);
            if period > 0
                && let Ok(vm) = self.vm.try_borrow()
            {
                timers.push(Tick::start(self.this.clone(), root, period, vm.proxy().log));
            }
        }
    }
}

/// Starts an instance of a module with a root context for each of its filters. An error names the
/// filter that failed, or none when the instance itself did.
pub fn start(
    process: ProcessKind,
    main: &Main,
    module: usize,
    log: Log,
) -> Result<Rc<Instance>, Refusal> {
    let link = Link::default();
    let conf = &main.conf;
    let module_conf = &conf.modules[module];
    let engine = conf.engine().map_err(|error| (None, error))?;
    let proxy = NginxProxy::new(process, main, module, log, link.clone());
    let (name, ticks) = (proxy.name.clone(), proxy.ticks.clone());
    let metrics = proxy.metrics.clone();
    let failed = |filter, error: StartError| {
        if let Some(metrics) = &metrics {
            metrics.start_failed(match &error {
                StartError::Call(CallError::Trap { reason, .. }) => Some(reason),
                _ => None,
            });
        }
        (filter, error.to_string())
    };
    let program = module_conf.guest.filter();
    let program = program.ok_or_else(|| (None, format!("is {}", module_conf.guest.kind())))?;
    let mut vm = Vm::start(engine, program, proxy, module_conf.vm.clone())
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
        (ProcessKind::Worker, Isolation::Request) => {
            let template = Template::new(&mut vm, engine, module_conf.limits.instances);
            Some(template.map_err(|error| failed(None, error))?)
        }
        _ => None,
    };
    if let Some(metrics) = &metrics {
        metrics.started(vm.memory_bytes());
    }
    let instance = Rc::new_cyclic(|this| Instance {
        this: this.clone(),
        name,
        turn: main.module(module).turn.clone(),
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
    Ok(instance)
}

/// Starts a module's instance as a worker does, and throws it away.
pub fn check(main: &Main, module: usize, log: Log) -> Result<(), Refusal> {
    start(ProcessKind::Check, main, module, log).map(drop)
}

impl Guest for Instance {
    fn name(&self) -> &str {
        &self.name
    }

    fn turn(&self) -> &Rc<Turn> {
        &self.turn
    }

    fn is_alive(&self) -> bool {
        Instance::is_alive(self)
    }

    fn watch(&self, waiter: Weak<dyn Waiter>) {
        Instance::watch(self, waiter);
    }

    fn call(&self, stream: ContextId, callback: Callback) -> Result<Action, Failure> {
        let action = self.call(|vm| match callback {
            Callback::Headers(Direction::Request, count, end) => {
                vm.on_request_headers(stream, count, end)
            }
            Callback::Headers(Direction::Response, count, end) => {
                vm.on_response_headers(stream, count, end)
            }
            Callback::Body(Direction::Request, size, end) => vm.on_request_body(stream, size, end),
            Callback::Body(Direction::Response, size, end) => {
                vm.on_response_body(stream, size, end)
            }
            Callback::ResponseTrailers(count) => vm.on_response_trailers(stream, count),
        });
        Ok(action?)
    }

    fn finish(&self, stream: ContextId, log: bool) -> Result<(), Failure> {
        Ok(self.call(|vm| vm.finish(stream, log))?)
    }

    fn request_ended(&self) {
        self.linger();
    }
}
