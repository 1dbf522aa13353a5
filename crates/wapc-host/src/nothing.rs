//! A proxy that offers nothing, for checking a module's imports.

use guest_host::{LogLevel, Services};

pub(crate) struct NoServices;

impl Services for NoServices {
    fn log_enabled(&self, _: LogLevel) -> bool {
        false
    }

    fn log(&self, _: LogLevel, _: &[u8]) {}

    fn log_level(&self) -> LogLevel {
        LogLevel::Critical
    }
}
