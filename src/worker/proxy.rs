//! What nginx offers to an instance outside of requests: the trait `Proxy`.

use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use proxy_wasm_host::{ContextId, LogLevel, MetricType, Proxy, Status};

use super::instance::{Instance, Process, SharedVm};
use crate::conf::MainConf;
use crate::http::stream::Stream;
use crate::metrics::{Host, ModuleMetrics};
use crate::nginx::log::{Level, Log, printable};

/// What nginx offers to an instance outside of requests.
pub struct NginxProxy {
    pub(super) name: Rc<str>,
    pub(super) log: Log,
    pub(super) ticks: Rc<RefCell<Vec<(ContextId, u32)>>>,
    /// The instance that this stands in, once it has been started.
    link: Link,
    process: Process,
    /// `None`: the zone has no room for the module.
    pub(super) metrics: Option<Rc<ModuleMetrics>>,
    conf: *const MainConf,
    /// Index in [`MainConf::modules`].
    module: usize,
}

/// Finds an instance again that something outside of it has to call later.
#[derive(Clone, Default)]
pub struct Link(Rc<OnceCell<Weak<Instance>>>);

impl Link {
    /// `None`: it is still being started, or is gone.
    pub fn instance(&self) -> Option<SharedVm> {
        self.0.get()?.upgrade().map(SharedVm)
    }

    pub(super) fn set(&self, instance: &Rc<Instance>) {
        // Set once, when the instance has been started.
        let _ = self.0.set(Rc::downgrade(instance));
    }
}

impl NginxProxy {
    /// `log` is where messages go that belong to no request; it must live as long as the
    /// instance, and so must `conf`.
    pub(super) fn new(
        process: Process,
        conf: &MainConf,
        module: usize,
        log: Log,
        link: Link,
    ) -> NginxProxy {
        let host = match process {
            Process::Worker => conf.metrics().cloned(),
            Process::Check => {
                let zone = conf.zones.metrics.as_ref();
                zone.and_then(Host::private).map(Rc::new)
            }
        };
        let name = &conf.modules[module].name;
        NginxProxy {
            metrics: host
                .and_then(|host| ModuleMetrics::new(host, name))
                .map(Rc::new),
            name: conf.modules[module].name.as_str().into(),
            log,
            ticks: Rc::default(),
            link,
            process,
            conf,
            module,
        }
    }

    /// The configuration that the instance was started for.
    fn conf(&self) -> &MainConf {
        // SAFETY: a worker's instances belong to the configuration, and those of the check are
        // gone before it is.
        unsafe { &*self.conf }
    }

    fn metrics(&self) -> Result<&ModuleMetrics, Status> {
        self.metrics.as_deref().ok_or(Status::InternalFailure)
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
