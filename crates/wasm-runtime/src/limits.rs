//! What an instance may use.

use std::time::Duration;

/// What an instance may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory; a module that needs more at its start does not start, and growing
    /// beyond it fails in the guest.
    pub memory: usize,
    /// Processor time of one call into the guest, with what it calls in the host.
    pub cpu_time: Duration,
    /// Bytes of the native stack that the guest's frames may take; 2 MiB at the most.
    pub stack: usize,
    /// Elements of all tables together; as for `memory`.
    pub table: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory: 64 << 20,
            cpu_time: Duration::from_secs(1),
            stack: 512 << 10,
            table: 100_000,
        }
    }
}
