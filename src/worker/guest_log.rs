//! What guests write to nginx's log, of whatever kind they are.

use guest_host::LogLevel;
use ngx::ffi::NGX_MAX_ERROR_STR;

use crate::nginx::log::{Level, Log, printable};
use crate::nginx::log_rate::LogRate;

/// nginx cuts a line of its log here, in bytes.
const MAX_LINE: usize = NGX_MAX_ERROR_STR as usize;

/// Writes a guest's message as one line, if the log takes its level and the module may write one more.
pub fn write(log: Log, rate: &LogRate, module: &str, level: LogLevel, message: &[u8]) {
    let level = nginx_level(level);
    if log.enabled(level) && rate.allows_line() {
        let message = message.get(..MAX_LINE).unwrap_or(message);
        log.write(
            level,
            format_args!("[wasm] {module}: {}", printable(message)),
        );
    }
}

/// Would a message of this level be written?
pub fn is_enabled(log: Log, level: LogLevel) -> bool {
    log.enabled(nginx_level(level))
}

/// The least level that is written; nginx has no trace.
pub fn least_level(log: Log) -> LogLevel {
    const LEVELS: [LogLevel; 5] = [
        LogLevel::Debug,
        LogLevel::Info,
        LogLevel::Warn,
        LogLevel::Error,
        LogLevel::Critical,
    ];
    let enabled = |level: &LogLevel| is_enabled(log, *level);
    LEVELS
        .into_iter()
        .find(enabled)
        .unwrap_or(LogLevel::Critical)
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
