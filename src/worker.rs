//! What a worker process owns: the engine, the instances of the modules, their root contexts and
//! ticks.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use ngx::ffi::{ngx_add_timer, ngx_del_timer, ngx_event_t, ngx_log_t};
use proxy_wasm_host::{
    CallError, CallId, ContextId, Engine, GrpcCall, HttpCall, LogLevel, PluginConfig, Proxy,
    StartError, Status, Vm,
};

use crate::conf::{FilterConf, MainConf, ModuleConf};
use crate::http::chain::FilterId;
use crate::http::stream::Stream;
use crate::net::{Calls, Channels, Event, Origin};
use crate::nginx::log::{Level, Log, printable};

/// An instance in a worker.
pub type WorkerVm = Vm<NginxProxy>;

/// How long a module that failed to start is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// What nginx offers to an instance outside of requests.
pub struct NginxProxy {
    name: Rc<str>,
    log: Log,
    ticks: Rc<RefCell<Vec<(ContextId, u32)>>>,
    outside: Option<Outside>,
}

/// Outbound calls; a dry run makes none.
struct Outside {
    calls: Calls,
    /// Whose calls those of root contexts are.
    root: Origin,
}

/// Where an instance is, when that is known.
type Home = Rc<OnceCell<Weak<Instance>>>;

impl Outside {
    fn new(name: Rc<str>, root: Origin, channels: Channels, home: Home) -> Outside {
        let log = root.log;
        let calls = Calls::new(name, channels, move |id, event| {
            let Some(instance) = home.get().and_then(Weak::upgrade) else {
                return;
            };
            let vm = SharedVm(instance);
            let result = vm.call(|vm| match event {
                Event::Http(response) => vm.on_http_call_response(id, response),
                Event::Grpc(event) => vm.on_grpc(id, event),
            });
            if let Err(error) = result {
                log.write(Level::Error, format_args!("[wasm] {}: {error}", vm.name()));
            }
        });
        Outside { calls, root }
    }

    fn origin(&self, stream: Option<&Stream>) -> Result<Origin, Status> {
        match stream {
            Some(stream) => stream
                .request()
                .and_then(Origin::of_request)
                .ok_or(Status::InternalFailure),
            None => Ok(self.root.clone()),
        }
    }
}

impl NginxProxy {
    /// `log` is where messages go that belong to no request; it must live as long as the
    /// instance.
    fn new(name: &str, log: Log, net: Option<(Origin, Channels)>, home: &Home) -> NginxProxy {
        let name: Rc<str> = name.into();
        NginxProxy {
            outside: net
                .map(|(root, channels)| Outside::new(name.clone(), root, channels, home.clone())),
            name,
            log,
            ticks: Rc::default(),
        }
    }

    fn log_of(&self, stream: Option<&Stream>) -> Log {
        match stream.and_then(Stream::request) {
            Some(request) => request.log(),
            None => self.log,
        }
    }
}

impl Proxy for NginxProxy {
    type Stream = Stream;

    fn log_enabled(&self, stream: Option<&Stream>, level: LogLevel) -> bool {
        self.log_of(stream).enabled(nginx_level(level))
    }

    fn log(&self, stream: Option<&Stream>, level: LogLevel, message: &[u8]) {
        self.log_of(stream).write(
            nginx_level(level),
            format_args!("[wasm] {}: {}", self.name, printable(message)),
        );
    }

    fn log_level(&self) -> LogLevel {
        const LEVELS: [LogLevel; 5] = [
            LogLevel::Debug,
            LogLevel::Info,
            LogLevel::Warn,
            LogLevel::Error,
            LogLevel::Critical,
        ];
        let enabled = |level: &LogLevel| self.log.enabled(nginx_level(*level));
        LEVELS
            .into_iter()
            .find(enabled)
            .unwrap_or(LogLevel::Critical)
    }

    fn property(&self, _path: &[&[u8]], _out: &mut Vec<u8>) -> Result<(), Status> {
        Err(Status::NotFound)
    }

    fn set_tick_period(&self, root: ContextId, period: u32) -> Result<(), Status> {
        self.ticks.borrow_mut().push((root, period));
        Ok(())
    }

    fn http_call(
        &self,
        stream: Option<&Stream>,
        id: CallId,
        call: &HttpCall<'_>,
    ) -> Result<(), Status> {
        match &self.outside {
            Some(outside) => outside.calls.http(&outside.origin(stream)?, id, call),
            None => Ok(()),
        }
    }

    fn grpc_call(
        &self,
        stream: Option<&Stream>,
        id: CallId,
        call: &GrpcCall<'_>,
    ) -> Result<(), Status> {
        match &self.outside {
            Some(outside) => outside.calls.grpc(&outside.origin(stream)?, id, call),
            None => Ok(()),
        }
    }

    fn grpc_send(&self, id: CallId, message: &[u8], end: bool) -> Result<(), Status> {
        match &self.outside {
            Some(outside) => outside.calls.grpc_send(id, message, end),
            None => Ok(()),
        }
    }

    fn grpc_close(&self, id: CallId) -> Result<(), Status> {
        match &self.outside {
            Some(outside) => outside.calls.grpc_close(id),
            None => Ok(()),
        }
    }

    fn cancel_call(&self, id: CallId) {
        if let Some(outside) = &self.outside {
            outside.calls.cancel(id);
        }
    }
}

/// The nginx level for a guest's; nginx has no trace.
fn nginx_level(level: LogLevel) -> Level {
    match level {
        LogLevel::Trace | LogLevel::Debug => Level::Debug,
        LogLevel::Info => Level::Info,
        LogLevel::Warn => Level::Warn,
        LogLevel::Error => Level::Error,
        LogLevel::Critical => Level::Crit,
    }
}

/// Waits for a callback into an instance, and has to know when there will be none.
pub trait Waiter {
    fn instance_failed(&self);
}

/// A running instance, shared by the requests that have a context in it.
#[derive(Clone)]
pub struct SharedVm(Rc<Instance>);

struct Instance {
    name: Rc<str>,
    vm: RefCell<WorkerVm>,
    /// Root contexts, by filter.
    roots: Vec<(FilterId, ContextId)>,
    ticks: Rc<RefCell<Vec<(ContextId, u32)>>>,
    waiters: RefCell<Vec<Weak<dyn Waiter>>>,
    /// Boxed, because nginx's tree of timers points at their events.
    #[allow(clippy::vec_box)]
    timers: RefCell<Vec<Box<Timer>>>,
}

impl SharedVm {
    /// The module's name in the configuration.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Calls into the instance. A call from within one of its own host calls is refused.
    pub fn call<R>(
        &self,
        call: impl FnOnce(&mut WorkerVm) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let result = match self.0.vm.try_borrow_mut() {
            Ok(mut vm) => call(&mut vm),
            Err(_) => return Err(CallError::Poisoned),
        };
        if !self.0.ticks.borrow().is_empty() {
            self.set_timers();
        }
        if self.0.vm.try_borrow().is_ok_and(|vm| vm.poisoned()) {
            self.fail();
        }
        result
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

    /// The instance has trapped: nothing more is called in it.
    fn fail(&self) {
        self.0.timers.borrow_mut().clear();
        let waiters = self.0.waiters.take();
        for waiter in waiters.iter().filter_map(Weak::upgrade) {
            waiter.instance_failed();
        }
    }

    /// Carries out what guests have asked of `proxy_set_tick_period_milliseconds`.
    fn set_timers(&self) {
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

/// The tick of one root context.
struct Timer {
    event: std::cell::UnsafeCell<ngx_event_t>,
    instance: Weak<Instance>,
    root: ContextId,
    period: u32,
}

impl Timer {
    fn start(vm: &SharedVm, root: ContextId, period: u32, log: Log) -> Box<Timer> {
        let timer = Box::new(Timer {
            // SAFETY: a zeroed event is valid, and not in nginx's tree of timers.
            event: std::cell::UnsafeCell::new(unsafe { std::mem::zeroed() }),
            instance: Rc::downgrade(&vm.0),
            root,
            period,
        });
        // SAFETY: the event is in a box, so it stays where it is until `drop` takes it out of
        // the tree. A cancelable timer does not keep a worker that is shutting down.
        unsafe {
            let event = timer.event.get();
            (*event).data = (&raw const *timer).cast_mut().cast();
            (*event).handler = Some(on_timer);
            (*event).log = log.as_ptr();
            (*event).set_cancelable(1);
            ngx_add_timer(event, period as usize);
        }
        timer
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe {
            if (*self.event.get()).timer_set() != 0 {
                ngx_del_timer(self.event.get());
            }
        }
    }
}

unsafe extern "C" fn on_timer(event: *mut ngx_event_t) {
    crate::guard((), || {
        // SAFETY: a timer takes its event out of the tree before it goes.
        let (instance, root) = unsafe {
            let timer: *const Timer = (*event).data.cast_const().cast();
            ngx_add_timer(event, (*timer).period as usize);
            ((*timer).instance.upgrade(), (*timer).root)
        };
        let Some(instance) = instance else { return };
        let vm = SharedVm(instance);
        if let Err(error) = vm.call(|vm| vm.on_tick(root))
            && let Ok(instance) = vm.0.vm.try_borrow()
        {
            instance
                .proxy()
                .log
                .write(Level::Error, format_args!("[wasm] {}: {error}", vm.name()));
        }
    });
}

/// A module in a worker.
struct Module {
    instance: RefCell<Option<SharedVm>>,
    retry_at: Cell<Option<Instant>>,
}

/// The runtime of one worker process, for one configuration.
pub struct Worker {
    engine: Engine,
    channels: Channels,
    log: Log,
    modules: Vec<Module>,
    conf: *const MainConf,
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
        let engine = match Engine::new() {
            Ok(engine) => engine,
            Err(error) => {
                log.write(Level::Crit, format_args!("[wasm] no engine: {error}"));
                return None;
            }
        };
        let worker = Worker {
            engine,
            channels: Channels::default(),
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
        let (_, root) = vm.0.roots.iter().find(|(id, _)| *id == filter)?;
        let root = *root;
        Some((vm, root))
    }

    /// The module's instance: the one that runs, or a new one when that has trapped.
    fn instance(&self, index: usize, log: Log) -> Option<SharedVm> {
        let module = self.modules.get(index)?;
        if let Some(vm) = module.instance.borrow().as_ref()
            && vm.0.vm.try_borrow().map_or(true, |vm| !vm.poisoned())
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
        let filters = self.conf().filters.iter().enumerate();
        let filters = filters.filter(|(_, filter)| filter.module == index);
        let net = Origin::of_root(self.conf(), self.log).map(|root| (root, self.channels.clone()));
        match start(&self.engine, conf, filters, self.log, net) {
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
                vm.0.timers.borrow_mut().clear();
                if let Ok(mut vm) = vm.0.vm.try_borrow_mut() {
                    vm.shutdown();
                }
            }
        }
    }
}

/// Starts an instance with a root context for each of `filters`. An error names the filter that
/// failed, or none when the instance itself did.
pub fn start<'a>(
    engine: &Engine,
    module: &ModuleConf,
    filters: impl Iterator<Item = (FilterId, &'a FilterConf)>,
    log: Log,
    net: Option<(Origin, Channels)>,
) -> Result<SharedVm, (Option<FilterId>, StartError)> {
    let home = Home::default();
    let proxy = NginxProxy::new(&module.name, log, net, &home);
    let (name, ticks) = (proxy.name.clone(), proxy.ticks.clone());
    let mut vm = Vm::start(engine, &module.program, proxy, module.vm.clone())
        .map_err(|error| (None, error))?;
    let mut roots = Vec::new();
    for (id, filter) in filters {
        let root = vm
            .create_root(PluginConfig {
                name: module.name.as_bytes().to_vec(),
                root_id: Vec::new(),
                configuration: filter.configuration.clone(),
            })
            .map_err(|error| (Some(id), error))?;
        roots.push((id, root));
    }
    let vm = SharedVm(Rc::new(Instance {
        name,
        vm: RefCell::new(vm),
        roots,
        ticks,
        waiters: RefCell::default(),
        timers: RefCell::default(),
    }));
    // Set once, here.
    let _ = home.set(Rc::downgrade(&vm.0));
    Ok(vm)
}
