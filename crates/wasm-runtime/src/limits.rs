//! What an instance may use.

use std::fmt;
use std::time::Duration;

/// What an instance may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory; a module that needs more at its start does not start, and growing
    /// beyond it fails in the guest.
    pub memory: usize,
    /// Processor time of one call into the guest, with what it calls in the host.
    pub cpu_time: Duration,
    /// Processor time of all calls of the instance's start together, in place of `cpu_time`: of its
    /// start section, its entry points, and what makes its root contexts.
    pub start_time: Duration,
    /// Bytes of the native stack that the guest's frames may take; 2 MiB at the most.
    pub stack: usize,
    /// Elements of all tables together; as for `memory`.
    pub table: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory: 256 << 20,
            cpu_time: Duration::from_secs(1),
            start_time: Duration::from_secs(60),
            stack: 512 << 10,
            table: 100_000,
        }
    }
}

/// Bytes, displayed as in a configuration of nginx: `64m`, `512k`, `1000`.
pub struct Size(pub usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            size if size % (1 << 20) == 0 => write!(f, "{}m", size >> 20),
            size if size % (1 << 10) == 0 => write!(f, "{}k", size >> 10),
            size => write!(f, "{size}"),
        }
    }
}
