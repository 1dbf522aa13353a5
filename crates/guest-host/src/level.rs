//! Levels of log lines.

use num_enum::TryFromPrimitive;

/// Level of a guest's log message; the numbers are those of Proxy-Wasm.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, TryFromPrimitive)]
pub enum LogLevel {
    Trace = 0,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}
