//! A proxy that offers nothing, for checking a module's imports.

use guest_host::{LogLevel, Services};

use crate::exchange::{BodyKind, Exchange, HeaderKind, Invalid, Proxy};

pub(crate) struct NoProxy;

impl Services for NoProxy {
    fn log_enabled(&self, _: LogLevel) -> bool {
        false
    }

    fn log(&self, _: LogLevel, _: &[u8]) {}

    fn log_level(&self) -> LogLevel {
        LogLevel::Critical
    }
}

impl Proxy for NoProxy {
    type Exchange = NoExchange;
}

/// There is none.
pub(crate) enum NoExchange {}

impl Exchange for NoExchange {
    fn log_enabled(&self, _: LogLevel) -> bool {
        match *self {}
    }

    fn log(&self, _: LogLevel, _: &[u8]) {
        match *self {}
    }

    fn method(&self, _: &mut dyn FnMut(&[u8])) {
        match *self {}
    }

    fn set_method(&self, _: &[u8]) -> Result<(), Invalid> {
        match *self {}
    }

    fn uri(&self, _: &mut dyn FnMut(&[u8])) {
        match *self {}
    }

    fn set_uri(&self, _: &[u8]) -> Result<(), Invalid> {
        match *self {}
    }

    fn protocol_version(&self, _: &mut dyn FnMut(&[u8])) {
        match *self {}
    }

    fn source_addr(&self, _: &mut dyn FnMut(&[u8])) {
        match *self {}
    }

    fn names(&self, _: HeaderKind, _: &mut dyn FnMut(&[u8])) {
        match *self {}
    }

    fn values(&self, _: HeaderKind, _: &[u8], _: &mut dyn FnMut(&[u8])) {
        match *self {}
    }

    fn set_header(&self, _: HeaderKind, _: &[u8], _: &[u8]) {
        match *self {}
    }

    fn add_header(&self, _: HeaderKind, _: &[u8], _: &[u8]) {
        match *self {}
    }

    fn remove_header(&self, _: HeaderKind, _: &[u8]) {
        match *self {}
    }

    fn status(&self) -> u32 {
        match *self {}
    }

    fn set_status(&self, _: u32) {
        match *self {}
    }

    fn read_body(&self, _: BodyKind, _: usize, _: &mut [u8]) -> Result<usize, Invalid> {
        match *self {}
    }

    fn takes_body(&self, _: BodyKind, _: usize) -> bool {
        match *self {}
    }

    fn takes_header(&self, _: usize) -> bool {
        match *self {}
    }
}
