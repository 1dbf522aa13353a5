//! The seam to the host proxy: what it must offer to a guest.

use std::time::Duration;

use guest_host::LogLevel;

use crate::abi::{BufferType, MapType, MetricType, Status, StreamType};
use crate::calls::{CallId, GrpcCall, HttpCall, OwnedPairs, RedisCall, RedisService};
use crate::error::CallError;
use crate::vm::ContextId;

/// A response that the guest sends instead of the upstream's.
#[derive(Clone, Copy, Debug)]
pub struct LocalResponse<'a> {
    /// HTTP status as the guest gave it, unchecked.
    pub status: u32,
    /// Reason for logs; need not be UTF-8.
    pub details: &'a [u8],
    /// In the guest's order, names as the guest wrote them.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    pub body: &'a [u8],
    /// `None` when the guest passed -1.
    pub grpc_status: Option<u32>,
}

/// What one HTTP stream of the host proxy offers to a guest: a cheap handle, cloned on every
/// callback.
///
/// Methods are called while the guest runs. What resumes, ends or replaces the stream
/// (`continue_stream`, `close_stream`, `send_local_response`) must only be recorded and acted on
/// after the callback has returned.
///
/// An error is handed to the guest as the status of its call.
pub trait HttpStream: Clone + 'static {
    /// Visits all pairs in order. It may be called twice for one guest call and must then visit
    /// the same pairs. A map that is not there now has none.
    fn map_visit(&self, map: MapType, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Status>;

    /// Passes the first value of `key` to `found`, at most once; `Ok(false)` when it is missing, or
    /// the map is not there now.
    fn map_get(
        &self,
        map: MapType,
        key: &[u8],
        found: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, Status>;

    /// Appends a pair. This and the other changes of a map: `Err(BadArgument)` when the map is not
    /// there, or a change of it can have no effect any more.
    fn map_add(&self, map: MapType, key: &[u8], value: &[u8]) -> Result<(), Status>;

    /// Sets the one value of `key`, dropping others of that name.
    fn map_replace(&self, map: MapType, key: &[u8], value: &[u8]) -> Result<(), Status>;

    /// Drops all pairs of that name; `Ok` when there is none.
    fn map_remove(&self, map: MapType, key: &[u8]) -> Result<(), Status>;

    /// Replaces the whole map.
    fn map_set_pairs(&self, map: MapType, pairs: &[(&[u8], &[u8])]) -> Result<(), Status>;

    /// Bytes now in the buffer; `Err(NotFound)` when it is not available.
    fn buffer_len(&self, buffer: BufferType) -> Result<usize, Status>;

    /// Calls `found` with the pieces, in order, that make up [start, start + len), cut to the
    /// buffer's end.
    fn buffer_read(
        &self,
        buffer: BufferType,
        start: usize,
        len: usize,
        found: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Status>;

    /// Replaces [start, start + len), cut to the buffer's end, by all of `data`.
    /// `Err(BadArgument)` when the buffer is not there, or a change of it can have no effect any more.
    fn buffer_replace(
        &self,
        buffer: BufferType,
        start: usize,
        len: usize,
        data: &[u8],
    ) -> Result<(), Status>;

    /// Appends the property's bytes to `out`, which is empty; `Err(NotFound)` when unknown.
    fn property(&self, path: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Status>;

    /// Sets a property; `Err(NotFound)` when unknown.
    fn set_property(&self, path: &[&[u8]], value: &[u8]) -> Result<(), Status>;

    /// Records that a paused stream goes on.
    fn continue_stream(&self, stream: StreamType) -> Result<(), Status>;

    /// Records that the stream is to be closed.
    fn close_stream(&self, stream: StreamType) -> Result<(), Status>;

    /// Records a local response; what it borrows is gone after the call.
    fn send_local_response(&self, response: &LocalResponse<'_>) -> Result<(), Status>;

    /// Records bytes of a response body that go to the filters behind this one, and with `end` the end
    /// of it: what the upstream has still to send is dropped then. A response header that waits for this
    /// filter goes first. `Err(BadArgument)`: there is no response, or it has ended.
    fn inject_response_body(&self, body: &[u8], end: bool) -> Result<(), Status> {
        let _ = (body, end);
        Err(Status::Unimplemented)
    }

    /// Records that the route is to be chosen again (0.1.0's import, and the foreign function).
    fn clear_route_cache(&self) -> Result<(), Status> {
        Err(Status::Unimplemented)
    }

    /// The servers of the upstream that this request goes to: their addresses, and what is known of
    /// each, as JSON with `health_status` (`Healthy`, `Degraded` or `Unhealthy`) and `metrics`
    /// (Prometheus' text format). `Err(NotFound)`: there is no upstream, or it is not known yet.
    fn upstream_hosts(&self) -> Result<OwnedPairs, Status> {
        Err(Status::NotFound)
    }

    /// Chooses one of these servers by its address; an empty one leaves the choice to the proxy again.
    /// `Err(BadArgument)`: a server is chosen already, or it is no address.
    fn set_upstream_override_host(&self, host: &[u8]) -> Result<(), Status> {
        let _ = host;
        Err(Status::BadArgument)
    }

    /// Sets a value of this request that the other filters and the proxy's own readers see, by a
    /// single name (Envoy's `set_envoy_filter_state`). Guests read it as the property of the path
    /// `filter_state`, name.
    fn set_filter_state(&self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        let _ = (name, value);
        Err(Status::Unimplemented)
    }
}

/// What the host proxy offers to one VM (module instance), independent of a stream.
pub trait Proxy: 'static {
    type Stream: HttpStream;

    /// Would a message of this level be written at all? Asked before the message is read.
    fn log_enabled(&self, stream: Option<&Self::Stream>, level: LogLevel) -> bool;

    /// Writes one message; it need not be UTF-8. `stream` is `None` outside of stream contexts.
    fn log(&self, stream: Option<&Self::Stream>, level: LogLevel, message: &[u8]);

    /// A callback has failed that nobody has asked for: what `proxy_done` has made due, or the end of
    /// a context in [`Vm::shutdown`](crate::Vm::shutdown).
    fn callback_failed(&self, error: &CallError) {
        if self.log_enabled(None, LogLevel::Error) {
            self.log(None, LogLevel::Error, error.to_string().as_bytes());
        }
    }

    /// The least level that is written, for `proxy_get_log_level`.
    fn log_level(&self) -> LogLevel;

    /// Appends to `out`, which is empty, a property read outside of stream contexts that this
    /// crate does not know (it knows `plugin_name`, `plugin_root_id` and `plugin_vm_id`);
    /// `Err(NotFound)` when unknown.
    fn property(&self, path: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Status>;

    /// The guest wants `proxy_on_tick` of this root context every so many milliseconds; 0 stops
    /// it. Only to be recorded: the guest is running.
    fn set_tick_period(&self, root: ContextId, milliseconds: u32) -> Result<(), Status> {
        let _ = (root, milliseconds);
        Err(Status::Unimplemented)
    }

    /// Starts an HTTP call. `:method`, `:path` and `:authority` are there. Its end, whatever it is, is to be told by
    /// [`Vm::on_http_call_response`](crate::Vm::on_http_call_response), after this function has
    /// returned. `stream`: whose call it is; `None` for a root context's.
    ///
    /// `Err(BadArgument)`: there is no such upstream.
    fn http_call(
        &self,
        stream: Option<&Self::Stream>,
        id: CallId,
        call: &HttpCall<'_>,
    ) -> Result<(), Status> {
        let _ = (stream, id, call);
        Err(Status::Unimplemented)
    }

    /// Starts a gRPC call or stream. What it receives is told by [`Vm::on_grpc`](crate::Vm::on_grpc), after
    /// this function has returned.
    ///
    /// `Err(ParseFailure)`: there is no such upstream.
    fn grpc_call(
        &self,
        stream: Option<&Self::Stream>,
        id: CallId,
        call: &GrpcCall<'_>,
    ) -> Result<(), Status> {
        let _ = (stream, id, call);
        Err(Status::Unimplemented)
    }

    /// Sends a message on an open gRPC stream; `end`: it is the last one. An empty message is a
    /// message too, as in Envoy.
    fn grpc_send(&self, id: CallId, message: &[u8], end: bool) -> Result<(), Status> {
        let _ = (id, message, end);
        Err(Status::Unimplemented)
    }

    /// Ends the sending half of a gRPC stream; what it still receives is told.
    fn grpc_close(&self, id: CallId) -> Result<(), Status> {
        let _ = id;
        Err(Status::Unimplemented)
    }

    /// Notes how calls of a Redis service are to be made from now on. `root`: the root context of
    /// the caller; `stream`: whose it is, `None` for a root context.
    ///
    /// `Err(BadArgument)`: there is no such upstream, or an unknown or broken parameter.
    fn redis_init(
        &self,
        root: ContextId,
        stream: Option<&Self::Stream>,
        service: &RedisService<'_>,
    ) -> Result<(), Status> {
        let _ = (root, stream, service);
        Err(Status::Unimplemented)
    }

    /// Starts a Redis call. Its end, whatever it is, is to be told by
    /// [`Vm::on_redis_call_response`](crate::Vm::on_redis_call_response), after this function has
    /// returned.
    ///
    /// `Err(BadArgument)`: the service is unknown, or the query is no command that may be sent.
    fn redis_call(
        &self,
        stream: Option<&Self::Stream>,
        id: CallId,
        call: &RedisCall<'_>,
    ) -> Result<(), Status> {
        let _ = (stream, id, call);
        Err(Status::Unimplemented)
    }

    /// Ends an HTTP call, a Redis call, or a gRPC call or stream of which nothing more is to be told: the guest
    /// has cancelled it, or its context is gone. Does nothing when there is no such call.
    fn cancel_call(&self, id: CallId) {
        let _ = id;
    }

    /// The stream of a call has ended, be it that its context waits for `proxy_done`. True: the call goes on as its root context's, as in Envoy,
    /// and does not need the stream any more; false: it is cancelled next. A client that has left
    /// leaves nothing going.
    fn detach_call(&self, id: CallId) -> bool {
        let _ = id;
        false
    }

    /// A foreign function that this crate does not have; `None` when the proxy has none of this
    /// name either. Its result is appended to `out`, which is empty; what comes later can be told
    /// by [`Vm::on_foreign_function`](crate::Vm::on_foreign_function). `root`: the root context of
    /// the caller.
    fn foreign_function(
        &self,
        root: ContextId,
        stream: Option<&Self::Stream>,
        name: &[u8],
        arguments: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<Result<(), Status>> {
        let _ = (root, stream, name, arguments, out);
        None
    }

    /// Appends a value to `out`, which is empty, and answers its compare-and-swap number, which is
    /// never 0; `Err(NotFound)` when there is none. Keys are the VM's own: it shares them with the
    /// VMs of the same `vm_id` only.
    fn shared_data(&self, key: &[u8], out: &mut Vec<u8>) -> Result<u32, Status> {
        let _ = (key, out);
        Err(Status::Unimplemented)
    }

    /// Sets a value. `cas` 0: whatever it is now; else `Err(CasMismatch)` when its number is
    /// another one. `Err(InternalFailure)` when there is no room.
    fn set_shared_data(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        let _ = (key, value, cas);
        Err(Status::Unimplemented)
    }

    /// The number of a queue of this VM's, which is made if there is none. `proxy_on_queue_ready`
    /// of `root` is due when it gets something.
    fn register_queue(&self, root: ContextId, name: &[u8]) -> Result<u32, Status> {
        let _ = (root, name);
        Err(Status::Unimplemented)
    }

    /// The number of a queue of the VMs with this `vm_id` (empty: this one's);
    /// `Err(NotFound)` when there is none.
    fn resolve_queue(&self, vm_id: &[u8], name: &[u8]) -> Result<u32, Status> {
        let _ = (vm_id, name);
        Err(Status::Unimplemented)
    }

    /// `Err(NotFound)`: no such queue; `Err(InternalFailure)`: no room.
    fn enqueue(&self, queue: u32, message: &[u8]) -> Result<(), Status> {
        let _ = (queue, message);
        Err(Status::Unimplemented)
    }

    /// Appends the oldest message to `out`, which is empty. `Err(NotFound)`: no such queue;
    /// `Err(Empty)`: it has none.
    fn dequeue(&self, queue: u32, out: &mut Vec<u8>) -> Result<(), Status> {
        let _ = (queue, out);
        Err(Status::Unimplemented)
    }

    /// The number of a metric, which is made if there is none of this type and name.
    /// A name of another type is another metric, as in Envoy. `Err(BadArgument)`: the name makes no valid metric;
    /// `Err(InternalFailure)`: no room.
    fn define_metric(&self, metric: MetricType, name: &[u8]) -> Result<u32, Status> {
        let _ = (metric, name);
        Err(Status::Unimplemented)
    }

    /// Adds to a counter or a gauge. `Err(NotFound)`: no such metric; `Err(BadArgument)`: a
    /// histogram, or a counter and no number above 0, as in Envoy.
    fn increment_metric(&self, metric: u32, offset: i64) -> Result<(), Status> {
        let _ = (metric, offset);
        Err(Status::Unimplemented)
    }

    /// Adds to a counter, sets a gauge, or adds a value to a histogram, as Envoy does;
    /// `Err(NotFound)`: no such metric.
    fn record_metric(&self, metric: u32, value: u64) -> Result<(), Status> {
        let _ = (metric, value);
        Err(Status::Unimplemented)
    }

    /// A metric's value. `Err(NotFound)`: no such metric; `Err(BadArgument)`: a histogram.
    fn metric(&self, metric: u32) -> Result<u64, Status> {
        let _ = metric;
        Err(Status::Unimplemented)
    }

    /// Are callbacks to be timed? Asked before each one.
    fn times_callbacks(&self) -> bool {
        false
    }

    /// A timed callback has returned, or trapped. The guest is not running.
    fn callback_ended(&self, callback: &'static str, took: Duration) {
        let _ = (callback, took);
    }
}
