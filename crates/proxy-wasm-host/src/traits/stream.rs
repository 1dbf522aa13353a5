//! What the host proxy offers of one HTTP stream.

use crate::abi::{BufferType, MapType, Status, StreamType};
use crate::calls::OwnedPairs;

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

/// What one HTTP stream of the host proxy offers to a guest.
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
