//! Lines in nginx's logs.

use std::borrow::Cow;
use std::fmt::{self, Write};

use ngx::ffi::{
    NGX_LOG_ALERT, NGX_LOG_CRIT, NGX_LOG_DEBUG, NGX_LOG_EMERG, NGX_LOG_ERR, NGX_LOG_INFO,
    NGX_LOG_NOTICE, NGX_LOG_WARN, ngx_cycle, ngx_log_error_core, ngx_log_t,
};

/// nginx's levels, of those that the module uses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    Emerg = NGX_LOG_EMERG,
    Alert = NGX_LOG_ALERT,
    Crit = NGX_LOG_CRIT,
    Error = NGX_LOG_ERR,
    Warn = NGX_LOG_WARN,
    Notice = NGX_LOG_NOTICE,
    Info = NGX_LOG_INFO,
    Debug = NGX_LOG_DEBUG,
}

/// A log of nginx's, valid as long as the connection or the cycle that it was taken from.
#[derive(Clone, Copy)]
pub struct Log(*mut ngx_log_t);

impl Log {
    /// # Safety
    /// `log` is valid as long as this value is used.
    pub unsafe fn new(log: *mut ngx_log_t) -> Log {
        Log(log)
    }

    /// That of the cycle which the process runs under; it lives as long as that.
    pub fn of_cycle() -> Log {
        // SAFETY: nginx's own, which it writes in this thread only, and has one before it calls the module.
        Log(unsafe { (*ngx_cycle).log })
    }

    pub fn as_ptr(self) -> *mut ngx_log_t {
        self.0
    }

    /// Would a line of this level be written? The macro `ngx_log_error` asks the same.
    pub fn enabled(self, level: Level) -> bool {
        // SAFETY: valid by the contract of `new`.
        unsafe { (*self.0).log_level >= level as usize }
    }

    /// Writes one line when its level is enabled.
    pub fn write(self, level: Level, message: fmt::Arguments<'_>) {
        if self.enabled(level) {
            let text = message.to_string();
            // SAFETY: valid by the contract of `new`; `%*s` takes a length and that many bytes.
            unsafe {
                ngx_log_error_core(
                    level as usize,
                    self.0,
                    0,
                    c"%*s".as_ptr(),
                    text.len(),
                    text.as_ptr(),
                );
            }
        }
    }
}

/// What would be several lines as one.
pub fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// A guest's message as one log line: control characters, which could fake a line of their own,
/// are written as `\xNN`; bytes that are not UTF-8 are replaced.
pub fn printable(message: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(message);
    if !text.contains(|c: char| c.is_control() && c != '\t') {
        return text;
    }
    let mut line = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c.is_control() && c != '\t' {
            // Writing to a string cannot fail.
            let _ = write!(line, "\\x{:02X}", c as u32);
        } else {
            line.push(c);
        }
    }
    Cow::Owned(line)
}
