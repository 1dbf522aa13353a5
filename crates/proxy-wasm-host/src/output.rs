//! What a guest writes to standard output and error, as lines of the log.
//!
//! Guests write a line in many pieces: Go's runtime, one for each word of a goroutine's trace.

use crate::abi::LogLevel;
use crate::state::State;
use crate::traits::Proxy;

/// Bytes of a line that are waited for.
const MAX_LINE: usize = 64 << 10;
/// Most lines of one write that are told one by one; the rest is told as one.
const MAX_LINES: usize = 256;
/// Bytes of memory that are kept for the next line.
const KEPT: usize = 4 << 10;

/// Lines whose end has not come yet.
#[derive(Default)]
pub(crate) struct Output {
    info: Vec<u8>,
    error: Vec<u8>,
}

impl Output {
    fn line(&mut self, level: LogLevel) -> &mut Vec<u8> {
        match level {
            LogLevel::Error => &mut self.error,
            _ => &mut self.info,
        }
    }
}

impl<P: Proxy> State<P> {
    /// Takes what a guest has written, and tells the lines that have come to their end. `level`: that of
    /// standard output, info, or that of standard error, error.
    pub fn print(&mut self, level: LogLevel, text: &[u8]) {
        if !self.proxy.log_enabled(self.stream(), level) {
            return;
        }
        let mut line = std::mem::take(self.output.line(level));
        let mut rest = text;
        for _ in 0..MAX_LINES {
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
                break;
            };
            let (part, after) = (&rest[..end], &rest[end + 1..]);
            match line.is_empty() {
                true => self.tell(level, part),
                false => {
                    line.extend_from_slice(part);
                    self.tell(level, &line);
                    line.clear();
                }
            }
            rest = after;
        }
        match rest.contains(&b'\n') {
            true => self.tell(level, rest.strip_suffix(b"\n").unwrap_or(rest)),
            false => line.extend_from_slice(rest),
        }
        if line.len() >= MAX_LINE {
            self.tell(level, &line);
            line.clear();
        }
        if !line.is_empty() {
            self.guard.note_end();
        }
        if !line.is_empty() || line.capacity() <= KEPT {
            *self.output.line(level) = line;
        }
    }

    /// A call has ended that left something to do: what has no end yet is told.
    #[cold]
    pub fn end_call(&mut self) {
        self.guard.ended();
        for level in [LogLevel::Info, LogLevel::Error] {
            let line = std::mem::take(self.output.line(level));
            self.tell(level, &line);
        }
    }

    fn tell(&self, level: LogLevel, line: &[u8]) {
        if !line.is_empty() {
            self.proxy.log(self.stream(), level, line);
        }
    }
}
