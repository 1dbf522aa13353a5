//! What a guest writes to standard output and error, as lines of the log.
//!
//! Guests write a line in many pieces: Go's runtime, one for each word of a goroutine's trace.

use crate::level::LogLevel;

/// Bytes of a line that are waited for.
const MAX_LINE: usize = 64 << 10;
/// Most lines of one write that are told one by one; the rest is told as one.
const MAX_LINES: usize = 256;
/// Bytes of memory that are kept for the next line.
const KEPT: usize = 4 << 10;

/// Lines whose end has not come yet.
#[derive(Debug, Default)]
pub struct Output {
    info: Vec<u8>,
    error: Vec<u8>,
}

impl Output {
    /// Takes what a guest has written, and has the lines told that have come to their end. `level`: that of
    /// standard output, info, or that of standard error, error. Answers whether there is a line that still waits
    /// for its end.
    pub fn write(&mut self, level: LogLevel, text: &[u8], mut tell: impl FnMut(&[u8])) -> bool {
        let mut tell = |line: &[u8]| {
            if !line.is_empty() {
                tell(line);
            }
        };
        let line = self.line(level);
        let mut rest = text;
        for _ in 0..MAX_LINES {
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
                break;
            };
            let (part, after) = (&rest[..end], &rest[end + 1..]);
            match line.is_empty() {
                true => tell(part),
                false => {
                    line.extend_from_slice(part);
                    tell(line);
                    line.clear();
                }
            }
            rest = after;
        }
        match rest.contains(&b'\n') {
            true => tell(rest.strip_suffix(b"\n").unwrap_or(rest)),
            false => line.extend_from_slice(rest),
        }
        if line.len() >= MAX_LINE {
            tell(line);
            line.clear();
        }
        if line.is_empty() && line.capacity() > KEPT {
            *line = Vec::new();
        }
        !line.is_empty()
    }

    /// A call has ended: what has no end yet is told.
    pub fn end(&mut self, mut tell: impl FnMut(LogLevel, &[u8])) {
        for level in [LogLevel::Info, LogLevel::Error] {
            let line = std::mem::take(self.line(level));
            if !line.is_empty() {
                tell(level, &line);
            }
        }
    }

    fn line(&mut self, level: LogLevel) -> &mut Vec<u8> {
        match level {
            LogLevel::Error => &mut self.error,
            _ => &mut self.info,
        }
    }
}
