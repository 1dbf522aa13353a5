//! What one instance of a module counts: its guest's metrics, and the host's about it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use proxy_wasm_host::{CallResponse, MetricType, Status};

use crate::metrics::host::Host;
use crate::metrics::host_families::{
    CALLBACKS, CALLS, INSTANCES, MEMORY, MESSAGES, START_FAILURES, STARTS, TRAPS,
};
use crate::metrics::names::push_label;
use crate::metrics::{causes, text};
use crate::shm::metrics::store::{Key, Kind, MetricId, Owner, Refused};
use crate::shm::metrics::values::observe;

/// Histograms by their callbacks.
type Phases = Vec<(&'static str, Option<MetricId>)>;

/// The metrics of one instance.
pub struct ModuleMetrics {
    host: Rc<Host>,
    space: MetricId,
    instances: Option<MetricId>,
    memory: Option<MetricId>,
    /// It counts among the running ones.
    running: Cell<bool>,
    has_trapped: Cell<bool>,
    /// Bytes that it counts with.
    bytes: Cell<u64>,
    /// The histograms of its callbacks, found at their first call.
    phases: Rc<RefCell<Phases>>,
}

impl ModuleMetrics {
    /// `None`: there is no room for the module in the zone.
    pub fn new(host: Rc<Host>, module: &str) -> Option<ModuleMetrics> {
        let space = host.space(module)?;
        // What has happened is shown from the start, with 0.
        host.define(Kind::Counter, space, STARTS, "");
        host.define(Kind::Counter, space, START_FAILURES, "");
        Some(ModuleMetrics {
            instances: host.define(Kind::Gauge, space, INSTANCES, ""),
            memory: host.define(Kind::Gauge, space, MEMORY, ""),
            host,
            space,
            running: Cell::new(false),
            has_trapped: Cell::new(false),
            bytes: Cell::new(0),
            phases: Rc::default(),
        })
    }

    /// Those of another instance of the same module.
    pub fn of_another(&self) -> ModuleMetrics {
        ModuleMetrics {
            host: self.host.clone(),
            space: self.space,
            instances: self.instances,
            memory: self.memory,
            running: Cell::new(false),
            has_trapped: Cell::new(false),
            bytes: Cell::new(0),
            phases: self.phases.clone(),
        }
    }

    /// The instance has started, with so many bytes of memory.
    pub fn started(&self, bytes: usize) {
        self.count(STARTS, "");
        self.runs(bytes);
    }

    /// It runs, with so many bytes of memory.
    pub fn runs(&self, bytes: usize) {
        if !self.running.replace(true) {
            self.host.add(self.instances, 1);
        }
        self.set_memory(bytes);
    }

    /// It has not; perhaps it has trapped, for this reason.
    pub fn start_failed(&self, trap: Option<&str>) {
        self.count(START_FAILURES, "");
        if let Some(reason) = trap {
            self.trapped(reason);
        }
    }

    /// It has trapped, for this reason as the log has it; later calls do nothing.
    pub fn trapped(&self, reason: &str) {
        if !self.has_trapped.replace(true) {
            let mut labels = String::new();
            push_label(&mut labels, "reason", causes::trap(reason));
            self.count(TRAPS, &labels);
            self.ended();
        }
    }

    /// It runs no more.
    fn ended(&self) {
        if self.running.replace(false) {
            self.host.add(self.instances, -1);
        }
        self.set_memory(0);
    }

    /// The bytes of the instance's memory now.
    pub fn set_memory(&self, bytes: usize) {
        let bytes = bytes as u64;
        let before = self.bytes.replace(bytes);
        if before != bytes {
            self.host
                .add(self.memory, bytes.wrapping_sub(before) as i64);
        }
    }

    /// Is there anybody to show them to? What costs time on every callback is kept only then.
    pub fn is_shown(&self) -> bool {
        self.host.shown
    }

    /// A callback has returned or trapped, after so long.
    pub fn callback_ended(&self, callback: &'static str, took: Duration) {
        let mut phases = self.phases.borrow_mut();
        let id = match phases.iter().find(|(known, _)| *known == callback) {
            Some((_, id)) => *id,
            None => {
                let mut labels = String::new();
                let phase = callback.strip_prefix("proxy_on_").unwrap_or(callback);
                push_label(&mut labels, "phase", phase);
                let id = self
                    .host
                    .define(Kind::Histogram, self.space, CALLBACKS, &labels);
                phases.push((callback, id));
                id
            }
        };
        if let Some((_, histogram)) = id.and_then(|id| self.host.metrics().values(id)) {
            let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            observe(histogram, &text::NANOSECONDS, nanoseconds);
        }
    }

    /// An HTTP call of the guest's has ended.
    pub fn http_call_ended(&self, response: &CallResponse) {
        let failed = response.headers.is_empty();
        self.http_ended(failed.then_some(&response.error));
    }

    /// The same, with a response or for this reason.
    pub fn http_ended(&self, error: Option<&str>) {
        self.call_ended("http", causes::call(error));
    }

    /// A Redis call of the guest's has ended, with a reply or for this reason.
    pub fn redis_call_ended(&self, error: Option<&str>) {
        self.call_ended("redis", causes::call(error));
    }

    /// A gRPC call or stream of the guest's has ended with this status.
    pub fn grpc_call_ended(&self, status: u32) {
        self.call_ended("grpc", causes::grpc_call(status));
    }

    /// The guest has cancelled a gRPC call or stream.
    pub fn grpc_call_cancelled(&self) {
        self.call_ended("grpc", "cancelled");
    }

    /// A message that was published to a channel has been handled, has failed or was dropped.
    pub fn message_ended(&self, outcome: &str) {
        let mut labels = String::new();
        push_label(&mut labels, "outcome", outcome);
        self.count(MESSAGES, &labels);
    }

    fn call_ended(&self, kind: &str, outcome: &str) {
        let mut labels = String::new();
        push_label(&mut labels, "type", kind);
        push_label(&mut labels, "outcome", outcome);
        self.count(CALLS, &labels);
    }

    /// Counts something that happens seldom enough to look its counter up.
    fn count(&self, family: &str, labels: &str) {
        let id = self.host.define(Kind::Counter, self.space, family, labels);
        self.host.add(id, 1);
    }

    /// `proxy_define_metric`
    pub fn define(&self, metric: MetricType, name: &[u8]) -> Result<MetricId, Status> {
        let key = Key {
            kind: match metric {
                MetricType::Counter => Kind::Counter,
                MetricType::Gauge => Kind::Gauge,
                MetricType::Histogram => Kind::Histogram,
            },
            owner: Owner::Guest,
            space: self.space,
        };
        let defined = self.host.zone().locked(|metrics| metrics.define(key, name));
        match defined.ok_or(Status::InternalFailure)? {
            Ok(id) => Ok(id),
            Err(Refused::Name) => Err(Status::BadArgument),
            Err(Refused::NoRoom) => Err(Status::InternalFailure),
        }
    }

    /// `proxy_increment_metric`. As in Envoy, a counter takes numbers above 0 only, and a gauge
    /// any; one below 0 is taken away.
    pub fn increment(&self, id: MetricId, offset: i64) -> Result<(), Status> {
        let (kind, values) = self.find(id)?;
        match (kind, values) {
            (Kind::Counter, _) if offset <= 0 => Err(Status::BadArgument),
            (Kind::Counter | Kind::Gauge, [value, ..]) => {
                value.fetch_add(offset as u64, Relaxed);
                Ok(())
            }
            _ => Err(Status::BadArgument),
        }
    }

    /// `proxy_record_metric`. As in Envoy, it adds to a counter, and sets a gauge.
    pub fn record(&self, id: MetricId, value: u64) -> Result<(), Status> {
        let (kind, values) = self.find(id)?;
        match (kind, values) {
            (Kind::Counter, [counter, ..]) => {
                counter.fetch_add(value, Relaxed);
            }
            (Kind::Gauge, [gauge, ..]) => gauge.store(value, Relaxed),
            (_, histogram) => observe(histogram, &text::PLAIN, value),
        }
        Ok(())
    }

    /// `proxy_get_metric`
    pub fn get(&self, id: MetricId) -> Result<u64, Status> {
        match self.find(id)? {
            (Kind::Counter | Kind::Gauge, [value, ..]) => Ok(value.load(Relaxed)),
            _ => Err(Status::BadArgument),
        }
    }

    /// A metric that this module's guests have defined.
    fn find(&self, id: MetricId) -> Result<(Kind, &[std::sync::atomic::AtomicU64]), Status> {
        match self.host.metrics().values(id) {
            Some((key, values))
                if key.owner == Owner::Guest
                    && key.space == self.space
                    && key.kind != Kind::Space =>
            {
                Ok((key.kind, values))
            }
            _ => Err(Status::NotFound),
        }
    }
}

impl Drop for ModuleMetrics {
    fn drop(&mut self) {
        self.ended();
    }
}
