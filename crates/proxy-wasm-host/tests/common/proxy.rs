//! A proxy that records what a guest does to it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm_host::{
    CallId, ContextId, GrpcCall, HttpCall, LogLevel, MetricType, Pairs, Proxy, RedisCall,
    RedisService, Status,
};

use super::stream::{MockStream, text};

#[derive(Clone)]
pub struct MockProxy {
    inner: Rc<ProxyData>,
}

/// Value and compare-and-swap number.
type Shared = (Vec<u8>, u32);
/// Name and messages.
type Queue = (Vec<u8>, VecDeque<Vec<u8>>);

struct ProxyData {
    level: Cell<LogLevel>,
    logs: RefCell<Vec<(bool, LogLevel, String)>>,
    ticks: RefCell<Vec<(ContextId, u32)>>,
    events: RefCell<Vec<String>>,
    /// May calls outlive their streams?
    detach: Cell<bool>,
    /// Are callbacks timed?
    timed: Cell<bool>,
    data: RefCell<HashMap<Vec<u8>, Shared>>,
    queues: RefCell<Vec<Queue>>,
    metrics: RefCell<Vec<(MetricType, Vec<u8>, u64)>>,
}

impl Default for MockProxy {
    fn default() -> MockProxy {
        MockProxy {
            inner: Rc::new(ProxyData {
                level: Cell::new(LogLevel::Debug),
                logs: RefCell::default(),
                ticks: RefCell::default(),
                events: RefCell::default(),
                detach: Cell::new(false),
                timed: Cell::new(false),
                data: RefCell::default(),
                queues: RefCell::default(),
                metrics: RefCell::default(),
            }),
        }
    }
}

impl MockProxy {
    /// How many have it, this one included.
    pub fn holders(&self) -> usize {
        Rc::strong_count(&self.inner)
    }

    pub fn set_level(&self, level: LogLevel) {
        self.inner.level.set(level);
    }

    /// The lines, as they are or escaped where they are no text.
    pub fn take_logs(&self) -> Vec<String> {
        self.take_entries().into_iter().map(|e| e.2).collect()
    }

    /// Whether there was a stream, the level, and the line.
    pub fn take_entries(&self) -> Vec<(bool, LogLevel, String)> {
        self.inner.logs.take()
    }

    pub fn take_ticks(&self) -> Vec<(ContextId, u32)> {
        self.inner.ticks.take()
    }

    /// What was asked of it since the last time.
    pub fn take_events(&self) -> Vec<String> {
        self.inner.events.take()
    }

    pub fn set_detach(&self, detach: bool) {
        self.inner.detach.set(detach);
    }

    pub fn set_timed(&self, timed: bool) {
        self.inner.timed.set(timed);
    }

    fn event(&self, event: String) {
        self.inner.events.borrow_mut().push(event);
    }
}

fn list(pairs: Pairs<'_>) -> String {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(k, v)| format!("{}={}", text(k), text(v)))
        .collect();
    pairs.join(",")
}

fn name(stream: Option<&MockStream>) -> String {
    stream.map_or("root".into(), MockStream::name)
}

/// What upstreams of these names make of a call.
fn known(upstream: &[u8], unknown: Status) -> Result<(), Status> {
    match upstream {
        b"unknown" => Err(unknown),
        b"broken" => Err(Status::Unimplemented),
        _ => Ok(()),
    }
}

impl Proxy for MockProxy {
    type Stream = MockStream;

    fn times_callbacks(&self) -> bool {
        self.inner.timed.get()
    }

    fn callback_ended(&self, callback: &'static str, _took: Duration) {
        self.event(format!("timed {callback}"));
    }

    fn log_enabled(&self, _stream: Option<&MockStream>, level: LogLevel) -> bool {
        level >= self.inner.level.get()
    }

    fn log(&self, stream: Option<&MockStream>, level: LogLevel, message: &[u8]) {
        assert!(level >= self.inner.level.get());
        let message = match std::str::from_utf8(message) {
            Ok(text) => text.to_owned(),
            Err(_) => text(message),
        };
        let entry = (stream.is_some(), level, message);
        self.inner.logs.borrow_mut().push(entry);
    }

    fn log_level(&self) -> LogLevel {
        self.inner.level.get()
    }

    fn property(&self, path: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Status> {
        if path == [b"node", &b"id"[..]] {
            out.extend_from_slice(b"this worker");
            return Ok(());
        }
        Err(Status::NotFound)
    }

    fn set_tick_period(&self, root: ContextId, milliseconds: u32) -> Result<(), Status> {
        self.inner.ticks.borrow_mut().push((root, milliseconds));
        Ok(())
    }

    fn http_call(
        &self,
        stream: Option<&MockStream>,
        id: CallId,
        call: &HttpCall<'_>,
    ) -> Result<(), Status> {
        known(call.upstream, Status::BadArgument)?;
        self.event(format!(
            "http {id} {} of {}: [{}] {} [{}] {:?}",
            text(call.upstream),
            name(stream),
            list(call.headers),
            text(call.body),
            list(call.trailers),
            call.timeout
        ));
        Ok(())
    }

    fn grpc_call(
        &self,
        stream: Option<&MockStream>,
        id: CallId,
        call: &GrpcCall<'_>,
    ) -> Result<(), Status> {
        known(call.upstream, Status::ParseFailure)?;
        self.event(format!(
            "grpc {id} {} of {}: {}/{} [{}] {:?} {:?}",
            text(call.upstream),
            name(stream),
            text(call.service),
            text(call.method),
            list(call.initial_metadata),
            call.message.map(text),
            call.timeout
        ));
        Ok(())
    }

    fn grpc_send(&self, id: CallId, message: &[u8], end: bool) -> Result<(), Status> {
        self.event(format!("send {id} {} {end}", text(message)));
        Ok(())
    }

    fn grpc_close(&self, id: CallId) -> Result<(), Status> {
        self.event(format!("close {id}"));
        Ok(())
    }

    fn redis_init(
        &self,
        root: ContextId,
        stream: Option<&MockStream>,
        service: &RedisService<'_>,
    ) -> Result<(), Status> {
        known(service.name, Status::BadArgument)?;
        self.event(format!(
            "redis_init {} of {} for {root}: {} {} {:?}",
            text(service.name),
            name(stream),
            text(service.username),
            text(service.password),
            service.timeout
        ));
        Ok(())
    }

    fn redis_call(
        &self,
        stream: Option<&MockStream>,
        id: CallId,
        call: &RedisCall<'_>,
    ) -> Result<(), Status> {
        known(call.service, Status::BadArgument)?;
        self.event(format!(
            "redis {id} {} of {} for {}: {}",
            text(call.service),
            name(stream),
            call.root,
            text(call.query)
        ));
        Ok(())
    }

    fn cancel_call(&self, id: CallId) {
        self.event(format!("cancel {id}"));
    }

    fn detach_call(&self, id: CallId) -> bool {
        if self.inner.detach.get() {
            self.event(format!("detach {id}"));
        }
        self.inner.detach.get()
    }

    fn foreign_function(
        &self,
        _root: ContextId,
        stream: Option<&MockStream>,
        function: &[u8],
        arguments: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<Result<(), Status>> {
        match function {
            b"mock.reverse" => {
                self.event(format!("reverse of {}", name(stream)));
                out.extend(arguments.iter().rev());
                Some(Ok(()))
            }
            // As a process does that others keep from the processor.
            b"mock.sleep" => {
                std::thread::sleep(Duration::from_millis(100));
                Some(Ok(()))
            }
            b"mock.fail" => Some(Err(Status::SerializationFailure)),
            _ => None,
        }
    }

    fn shared_data(&self, key: &[u8], out: &mut Vec<u8>) -> Result<u32, Status> {
        let data = self.inner.data.borrow();
        let (value, cas) = data.get(key).ok_or(Status::NotFound)?;
        out.extend_from_slice(value);
        Ok(*cas)
    }

    fn set_shared_data(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        let mut data = self.inner.data.borrow_mut();
        let now = data.get(key).map_or(0, |(_, cas)| *cas);
        if cas != 0 && cas != now {
            return Err(Status::CasMismatch);
        }
        data.insert(key.to_vec(), (value.to_vec(), now + 1));
        Ok(())
    }

    fn register_queue(&self, root: ContextId, name: &[u8]) -> Result<u32, Status> {
        self.event(format!("register {} for {root}", text(name)));
        let mut queues = self.inner.queues.borrow_mut();
        if let Some(known) = queues.iter().position(|(known, _)| known == name) {
            return Ok(known as u32 + 1);
        }
        queues.push((name.to_vec(), VecDeque::new()));
        Ok(queues.len() as u32)
    }

    fn resolve_queue(&self, vm_id: &[u8], name: &[u8]) -> Result<u32, Status> {
        self.event(format!("resolve {} of {}", text(name), text(vm_id)));
        let queues = self.inner.queues.borrow();
        let known = queues.iter().position(|(known, _)| known == name);
        known.map(|at| at as u32 + 1).ok_or(Status::NotFound)
    }

    fn enqueue(&self, queue: u32, message: &[u8]) -> Result<(), Status> {
        let mut queues = self.inner.queues.borrow_mut();
        let queue = queues.get_mut((queue as usize).wrapping_sub(1));
        queue.ok_or(Status::NotFound)?.1.push_back(message.to_vec());
        Ok(())
    }

    fn dequeue(&self, queue: u32, out: &mut Vec<u8>) -> Result<(), Status> {
        let mut queues = self.inner.queues.borrow_mut();
        let queue = queues.get_mut((queue as usize).wrapping_sub(1));
        let message = queue.ok_or(Status::NotFound)?.1.pop_front();
        out.extend(message.ok_or(Status::Empty)?);
        Ok(())
    }

    fn define_metric(&self, metric: MetricType, name: &[u8]) -> Result<u32, Status> {
        let mut metrics = self.inner.metrics.borrow_mut();
        if let Some(known) = metrics.iter().position(|known| known.1 == name) {
            return if metrics[known].0 == metric {
                Ok(known as u32 + 1)
            } else {
                Err(Status::BadArgument)
            };
        }
        metrics.push((metric, name.to_vec(), 0));
        Ok(metrics.len() as u32)
    }

    fn increment_metric(&self, metric: u32, offset: i64) -> Result<(), Status> {
        let mut metrics = self.inner.metrics.borrow_mut();
        let metric = metrics.get_mut((metric as usize).wrapping_sub(1));
        let (kind, _, value) = metric.ok_or(Status::NotFound)?;
        match kind {
            MetricType::Counter if offset < 0 => return Err(Status::BadArgument),
            MetricType::Histogram => return Err(Status::BadArgument),
            _ => *value = value.wrapping_add_signed(offset),
        }
        Ok(())
    }

    fn record_metric(&self, metric: u32, value: u64) -> Result<(), Status> {
        let mut metrics = self.inner.metrics.borrow_mut();
        let metric = metrics.get_mut((metric as usize).wrapping_sub(1));
        metric.ok_or(Status::NotFound)?.2 = value;
        Ok(())
    }

    fn metric(&self, metric: u32) -> Result<u64, Status> {
        let metrics = self.inner.metrics.borrow();
        let metric = metrics.get((metric as usize).wrapping_sub(1));
        match metric.ok_or(Status::NotFound)? {
            (MetricType::Histogram, ..) => Err(Status::BadArgument),
            (_, _, value) => Ok(*value),
        }
    }
}
