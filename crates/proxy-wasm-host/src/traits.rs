//! The seam to the host proxy: what it must offer to a guest.

use crate::abi::{BufferType, LogLevel, MapType, Status, StreamType};
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
    /// the same pairs. `Err(BadArgument)` when the map is not available now.
    fn map_visit(&self, map: MapType, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Status>;

    /// Passes the first value of `key` to `found`, at most once; `Ok(false)` when it is missing.
    fn map_get(
        &self,
        map: MapType,
        key: &[u8],
        found: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, Status>;

    /// Appends a pair.
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

    /// 0.1.0's request to choose the route again.
    fn clear_route_cache(&self) -> Result<(), Status> {
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
}
