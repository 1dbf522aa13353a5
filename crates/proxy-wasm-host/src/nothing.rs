//! A proxy without streams, for checking a module's imports.

use guest_host::LogLevel;

use crate::abi::{BufferType, MapType, Status, StreamType};
use crate::traits::{HttpStream, LocalResponse, Proxy};

pub(crate) struct NoProxy;

/// There is none.
#[derive(Clone)]
pub(crate) enum NoStream {}

impl Proxy for NoProxy {
    type Stream = NoStream;

    fn log_enabled(&self, _: Option<&NoStream>, _: LogLevel) -> bool {
        false
    }

    fn log(&self, _: Option<&NoStream>, _: LogLevel, _: &[u8]) {}

    fn log_level(&self) -> LogLevel {
        LogLevel::Critical
    }

    fn property(&self, _: &[&[u8]], _: &mut Vec<u8>) -> Result<(), Status> {
        Err(Status::NotFound)
    }
}

impl HttpStream for NoStream {
    fn map_visit(&self, _: MapType, _: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Status> {
        match *self {}
    }

    fn map_get(&self, _: MapType, _: &[u8], _: &mut dyn FnMut(&[u8])) -> Result<bool, Status> {
        match *self {}
    }

    fn map_add(&self, _: MapType, _: &[u8], _: &[u8]) -> Result<(), Status> {
        match *self {}
    }

    fn map_replace(&self, _: MapType, _: &[u8], _: &[u8]) -> Result<(), Status> {
        match *self {}
    }

    fn map_remove(&self, _: MapType, _: &[u8]) -> Result<(), Status> {
        match *self {}
    }

    fn map_set_pairs(&self, _: MapType, _: &[(&[u8], &[u8])]) -> Result<(), Status> {
        match *self {}
    }

    fn buffer_len(&self, _: BufferType) -> Result<usize, Status> {
        match *self {}
    }

    fn buffer_read(
        &self,
        _: BufferType,
        _: usize,
        _: usize,
        _: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Status> {
        match *self {}
    }

    fn buffer_replace(&self, _: BufferType, _: usize, _: usize, _: &[u8]) -> Result<(), Status> {
        match *self {}
    }

    fn property(&self, _: &[&[u8]], _: &mut Vec<u8>) -> Result<(), Status> {
        match *self {}
    }

    fn set_property(&self, _: &[&[u8]], _: &[u8]) -> Result<(), Status> {
        match *self {}
    }

    fn continue_stream(&self, _: StreamType) -> Result<(), Status> {
        match *self {}
    }

    fn close_stream(&self, _: StreamType) -> Result<(), Status> {
        match *self {}
    }

    fn send_local_response(&self, _: &LocalResponse<'_>) -> Result<(), Status> {
        match *self {}
    }
}
