//! What nginx offers to an instance outside of requests: the trait `Proxy`.

use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};

use proxy_wasm_host::{CallId, ContextId, GrpcCall, HttpCall, LogLevel, Proxy, Status};

use super::instance::{Instance, Process, SharedVm};
use super::outbound::Outbound;
use crate::conf::MainConf;
use crate::http::stream::Stream;
use crate::nginx::log::{Level, Log, printable};

/// What nginx offers to an instance outside of requests.
pub struct NginxProxy {
    pub(super) name: Rc<str>,
    pub(super) log: Log,
    pub(super) ticks: Rc<RefCell<Vec<(ContextId, u32)>>>,
    /// The instance that this stands in, once it has been started.
    link: Link,
    process: Process,
    conf: *const MainConf,
    /// Index in [`MainConf::modules`].
    module: usize,
    outbound: Option<Outbound>,
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
        let name: Rc<str> = conf.modules[module].name.as_str().into();
        let channels = conf.channels().clone();
        let outbound = match process {
            Process::Check => None,
            Process::Worker => Outbound::new(conf, name.clone(), log, link.clone(), channels),
        };
        NginxProxy {
            name,
            outbound,
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

    /// Nothing more can be told to the guest.
    pub(super) fn end_calls(&self) {
        if let Some(outbound) = &self.outbound {
            outbound.calls.clear();
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
        match &self.outbound {
            Some(outbound) => outbound.calls.http(&outbound.origin(stream)?, id, call),
            None => Ok(()),
        }
    }

    fn grpc_call(
        &self,
        stream: Option<&Stream>,
        id: CallId,
        call: &GrpcCall<'_>,
    ) -> Result<(), Status> {
        match &self.outbound {
            Some(outbound) => outbound.calls.grpc(&outbound.origin(stream)?, id, call),
            None => Ok(()),
        }
    }

    fn grpc_send(&self, id: CallId, message: &[u8], end: bool) -> Result<(), Status> {
        match &self.outbound {
            Some(outbound) => outbound.calls.grpc_send(id, message, end),
            None => Ok(()),
        }
    }

    fn grpc_close(&self, id: CallId) -> Result<(), Status> {
        match &self.outbound {
            Some(outbound) => outbound.calls.grpc_close(id),
            None => Ok(()),
        }
    }

    fn cancel_call(&self, id: CallId) {
        if let Some(outbound) = &self.outbound {
            outbound.calls.cancel(id);
        }
    }

    fn detach_call(&self, id: CallId) -> bool {
        if let Some(outbound) = &self.outbound {
            outbound.calls.abandon(id);
        }
        self.outbound.is_some()
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
