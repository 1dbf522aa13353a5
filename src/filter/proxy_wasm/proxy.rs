//! What nginx offers to an instance outside of requests: the trait `Proxy`.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proxy_wasm_host::{
    CallError, CallId, ContextId, GrpcCall, HttpCall, LogLevel, MetricType, Proxy, RedisCall,
    RedisService, Status,
};

use crate::filter::proxy_wasm::foreign;
use crate::filter::proxy_wasm::foreign::Caller;
use crate::filter::proxy_wasm::instance::Instance;
use crate::filter::proxy_wasm::outbound::Outbound;
use crate::filter::proxy_wasm::redis::{RedisCalls, Services};
use crate::filter::proxy_wasm::stream::Stream;
use crate::metrics::module::ModuleMetrics;
use crate::net::turn::Turn;
use crate::nginx::log::{Level, Log};
use crate::nginx::log_rate::LogRate;
use crate::shm::Shared;
use crate::shm::queue::queues::Listener;
use crate::worker::guest_log;
use crate::worker::process::{Main, ProcessKind};

/// What nginx offers to an instance outside of requests.
pub struct NginxProxy {
    pub name: Rc<str>,
    pub log: Log,
    pub ticks: Rc<RefCell<Vec<(ContextId, u32)>>>,
    /// The instance that this stands in, once it has been started.
    pub link: Link,
    pub log_rate: Rc<LogRate>,
    /// `None`: the zone has no room for the module.
    pub metrics: Option<Rc<ModuleMetrics>>,
    main: *const Main,
    /// Index in the configuration's modules.
    module: usize,
    /// Its calls, from the first one on.
    outbound: OnceCell<Option<Outbound>>,
    /// What the guest has said of Redis services.
    services: Rc<Services>,
    /// `false`: the check of the configuration makes no calls.
    calls: bool,
    shared: Option<Rc<Shared>>,
    /// Number of the instance among those of its process, for its queues.
    number: u64,
    /// It has registered a queue.
    listens: Cell<bool>,
}

/// Finds an instance again that something outside of it has to call later.
#[derive(Clone, Default)]
pub struct Link(Rc<OnceCell<Weak<Instance>>>);

impl Link {
    /// `None`: it is still being started, or is gone.
    pub fn instance(&self) -> Option<Rc<Instance>> {
        self.0.get()?.upgrade()
    }

    pub fn set(&self, instance: &Rc<Instance>) {
        // Set once, when the instance has been started.
        let _ = self.0.set(Rc::downgrade(instance));
    }
}

impl NginxProxy {
    /// `log` is where messages go that belong to no request; it must live as long as the
    /// instance, and so must `conf`.
    pub fn new(
        process: ProcessKind,
        main: &Main,
        module: usize,
        log: Log,
        link: Link,
    ) -> NginxProxy {
        let conf = &main.conf;
        let name: Rc<str> = conf.modules[module].name.as_str().into();
        let log_rate = main.log_rate(process, module, log);
        let metrics = main.module_metrics(process, module);
        NginxProxy {
            name,
            outbound: OnceCell::new(),
            services: Rc::default(),
            calls: process == ProcessKind::Worker,
            log_rate,
            metrics,
            log,
            ticks: Rc::default(),
            link,
            main,
            module,
            shared: main.process.shared(),
            number: next_number(),
            listens: Cell::new(false),
        }
    }

    /// The same for an instance of one request.
    pub fn of_request(&self) -> NginxProxy {
        let metrics = self.metrics.as_ref().map(|all| Rc::new(all.of_another()));
        NginxProxy {
            name: self.name.clone(),
            outbound: OnceCell::new(),
            services: self.services.of_request(),
            calls: self.calls,
            log_rate: self.log_rate.clone(),
            metrics,
            log: self.log,
            ticks: Rc::default(),
            link: Link::default(),
            main: self.main,
            module: self.module,
            shared: self.shared.clone(),
            number: next_number(),
            listens: Cell::new(false),
        }
    }

    /// The configuration that the instance was started for, and what its process keeps.
    fn main(&self) -> &Main {
        // SAFETY: a worker's instances belong to the configuration, and those of the check are
        // gone before it is.
        unsafe { &*self.main }
    }

    /// What its module may take of a turn of nginx's event loop.
    pub fn turn(&self) -> &Rc<Turn> {
        &self.main().module(self.module).turn
    }

    fn metrics(&self) -> Result<&ModuleMetrics, Status> {
        self.metrics.as_deref().ok_or(Status::InternalFailure)
    }

    /// Its calls, which are made for the first one; `None`: it makes none.
    pub fn outbound(&self) -> Option<&Outbound> {
        let new = || {
            let state = self.main().module(self.module);
            let redis = RedisCalls::new(
                self.main().process.redis.clone(),
                (state.calls.clone(), state.turn.clone()),
                self.services.clone(),
                self.name.clone(),
                self.link.clone(),
                self.log_rate.clone(),
                self.metrics.clone(),
            );
            Outbound::new(self.main(), self.module, self, redis)
        };
        match self.calls {
            true => self.outbound.get_or_init(new).as_ref(),
            false => None,
        }
    }

    /// Those that it has made so far.
    fn made(&self) -> Option<&Outbound> {
        self.outbound.get()?.as_ref()
    }

    /// Does something with the calls. In the check of the configuration they never end.
    fn call(&self, act: impl FnOnce(&Outbound) -> Result<(), Status>) -> Result<(), Status> {
        self.outbound().map_or(Ok(()), act)
    }

    /// The instance is not called any more: nobody is told of its calls.
    pub fn end_calls(&self) {
        if let Some(outbound) = self.made() {
            outbound.calls.clear();
            outbound.redis.clear();
            outbound.questions.clear();
        }
    }

    /// Has it asked something and not been told yet?
    pub fn has_questions(&self) -> bool {
        self.made()
            .is_some_and(|outbound| !outbound.questions.is_empty())
    }

    fn shared(&self) -> Result<&Shared, Status> {
        self.shared.as_deref().ok_or(Status::InternalFailure)
    }

    /// The space of the module's keys and queues: its `vm_id`, or its name.
    fn space(&self) -> &[u8] {
        let module = &self.main().conf.modules[self.module];
        module.space()
    }

    /// The instance is not called any more: others are told of the messages in its queues.
    pub fn leave_queues(&self) {
        if self.listens.replace(false)
            && let Some(shared) = &self.shared
        {
            shared.queues.forget(self.number);
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
        guest_log::is_enabled(self.log_of(stream), level)
    }

    fn log(&self, stream: Option<&Stream>, level: LogLevel, message: &[u8]) {
        guest_log::write(
            self.log_of(stream),
            &self.log_rate,
            &self.name,
            level,
            message,
        );
    }

    fn callback_failed(&self, error: &CallError) {
        self.log
            .write(Level::Error, format_args!("[wasm] {}: {error}", self.name));
    }

    fn log_level(&self) -> LogLevel {
        guest_log::least_level(self.log)
    }

    fn property(&self, _path: &[&[u8]], _out: &mut Vec<u8>) -> Result<(), Status> {
        Err(Status::NotFound)
    }

    fn set_tick_period(&self, root: ContextId, period: u32) -> Result<(), Status> {
        let mut ticks = self.ticks.borrow_mut();
        match ticks.iter_mut().find(|(known, _)| *known == root) {
            Some((_, asked)) => *asked = period,
            None => ticks.push((root, period)),
        }
        Ok(())
    }

    fn http_call(
        &self,
        stream: Option<&Stream>,
        id: CallId,
        call: &HttpCall<'_>,
    ) -> Result<(), Status> {
        self.call(|outbound| outbound.calls.http(&outbound.origin(stream)?, id, call))
    }

    fn grpc_call(
        &self,
        stream: Option<&Stream>,
        id: CallId,
        call: &GrpcCall<'_>,
    ) -> Result<(), Status> {
        self.call(|outbound| outbound.calls.grpc(&outbound.origin(stream)?, id, call))
    }

    fn grpc_send(&self, id: CallId, message: &[u8], end: bool) -> Result<(), Status> {
        self.call(|outbound| outbound.calls.grpc_send(id, message, end))
    }

    fn grpc_close(&self, id: CallId) -> Result<(), Status> {
        self.call(|outbound| outbound.calls.grpc_close(id))
    }

    fn redis_init(
        &self,
        root: ContextId,
        stream: Option<&Stream>,
        service: &RedisService<'_>,
    ) -> Result<(), Status> {
        self.call(|outbound| {
            let origin = outbound.origin(stream)?;
            outbound.redis.init(&origin, root, service)
        })
    }

    fn redis_call(
        &self,
        stream: Option<&Stream>,
        id: CallId,
        call: &RedisCall<'_>,
    ) -> Result<(), Status> {
        self.call(|outbound| outbound.redis.call(&outbound.origin(stream)?, id, call))
    }

    fn cancel_call(&self, id: CallId) {
        if let Some(outbound) = self.made() {
            outbound.redis.cancel(id);
        }
        if let Some(outbound) = self.made()
            && outbound.calls.cancel(id)
            && let Some(metrics) = &self.metrics
        {
            metrics.grpc_call_cancelled();
        }
    }

    fn detach_call(&self, id: CallId) -> bool {
        if let Some(outbound) = self.made() {
            outbound.calls.detach(id);
        }
        self.calls
    }

    fn foreign_function(
        &self,
        root: ContextId,
        stream: Option<&Stream>,
        name: &[u8],
        arguments: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<Result<(), Status>> {
        let caller = Caller {
            proxy: self,
            root,
            stream,
        };
        foreign::named(name).map(|function| function(&caller, arguments, out))
    }

    fn shared_data(&self, key: &[u8], out: &mut Vec<u8>) -> Result<u32, Status> {
        self.shared()?.data.get(self.space(), key, out)
    }

    fn set_shared_data(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        let data = &self.shared()?.data;
        data.set(self.space(), key, value, cas, self.log)
    }

    fn register_queue(&self, root: ContextId, name: &[u8]) -> Result<u32, Status> {
        let listener = Rc::new(QueueListener {
            link: self.link.clone(),
            root,
        });
        let queues = &self.shared()?.queues;
        self.listens.set(true);
        queues.register((self.number, root), listener, self.space(), name, self.log)
    }

    fn resolve_queue(&self, vm_id: &[u8], name: &[u8]) -> Result<u32, Status> {
        let space = if vm_id.is_empty() {
            self.space()
        } else {
            vm_id
        };
        self.shared()?.queues.resolve(space, name)
    }

    fn enqueue(&self, queue: u32, message: &[u8]) -> Result<(), Status> {
        self.shared()?.queues.enqueue(queue, message, self.log)
    }

    fn dequeue(&self, queue: u32, out: &mut Vec<u8>) -> Result<(), Status> {
        self.shared()?.queues.dequeue(queue, out)
    }

    fn define_metric(&self, metric: MetricType, name: &[u8]) -> Result<u32, Status> {
        self.metrics()?.define(metric, name)
    }

    fn increment_metric(&self, metric: u32, offset: i64) -> Result<(), Status> {
        self.metrics()?.increment(metric, offset)
    }

    fn record_metric(&self, metric: u32, value: u64) -> Result<(), Status> {
        self.metrics()?.record(metric, value)
    }

    fn metric(&self, metric: u32) -> Result<u64, Status> {
        self.metrics()?.get(metric)
    }

    fn times_callbacks(&self) -> bool {
        let metrics = self.metrics.as_deref();
        metrics.is_some_and(ModuleMetrics::is_shown)
    }

    fn callback_ended(&self, callback: &'static str, took: Duration) {
        if let Some(metrics) = &self.metrics {
            metrics.callback_ended(callback, took);
        }
    }
}

impl Drop for NginxProxy {
    fn drop(&mut self) {
        self.leave_queues();
    }
}

/// A number that no other instance of the process has.
fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// A root context that has registered queues.
struct QueueListener {
    link: Link,
    root: ContextId,
}

impl Listener for QueueListener {
    fn queue_ready(&self, queue: u32) -> bool {
        let Some(vm) = self.link.instance().filter(|vm| vm.is_alive()) else {
            return false;
        };
        let tell = || vm.call_logged(|vm| vm.on_queue_ready(self.root, queue));
        vm.turn.run(false, tell);
        vm.is_alive()
    }

    fn has_time(&self) -> bool {
        let vm = self.link.instance();
        vm.is_none_or(|vm| vm.turn.is_free())
    }
}
