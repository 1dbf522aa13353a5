//! The processor time of a guest that others run beside.
//!
//! Such a guest gives way at every tick, and wherever it waits. Its store is not at hand between two pieces of it, so what it
//! has used is kept here, and shared by its store and by whoever runs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use wasmtime::{Result, UpdateDeadline};

use crate::guard::OutOfTime;
use crate::ticker::{Clock, cpu_time};

/// Holds a guest to its processor time. What it does between two waits counts from the first tick on that meets it, so short
/// pieces cost no look at a clock and count for nothing.
pub struct Meter {
    clock: Arc<Clock>,
    limit: Duration,
    /// Nanoseconds of the pieces before this one.
    used: AtomicU64,
    /// The thread's processor time from which this piece counts, in nanoseconds; 0: it does not count yet.
    since: AtomicU64,
    /// The last piece was ended by a tick, so the next one counts from its start.
    gave_way: AtomicBool,
}

impl Meter {
    pub(crate) fn new(clock: Arc<Clock>, limit: Duration) -> Meter {
        Meter {
            clock,
            limit,
            used: AtomicU64::new(0),
            since: AtomicU64::new(0),
            gave_way: AtomicBool::new(false),
        }
    }

    /// Runs a piece of the guest.
    pub fn run<R>(&self, piece: impl FnOnce() -> R) -> R {
        let outer = self.clock.enter();
        if self.gave_way.swap(false, Ordering::Relaxed) {
            self.since.store(now(), Ordering::Relaxed);
        }
        let result = piece();
        self.clock.leave(outer);
        let since = self.since.swap(0, Ordering::Relaxed);
        if since != 0 {
            let used = now().saturating_sub(since);
            self.used.fetch_add(used, Ordering::Relaxed);
        }
        result
    }

    /// The guest has run into the next tick: it gives way, if it has time left. For the callback of its store's epochs.
    pub fn tick(&self) -> Result<UpdateDeadline> {
        self.check()?;
        self.gave_way.store(true, Ordering::Relaxed);
        Ok(UpdateDeadline::Yield(1))
    }

    /// Looks at the clock, for a host function that takes long. The error is to be returned from it.
    pub fn check(&self) -> Result<()> {
        let now = now();
        let since = match self.since.load(Ordering::Relaxed) {
            0 => {
                self.since.store(now, Ordering::Relaxed);
                now
            }
            since => since,
        };
        let used = self.used.load(Ordering::Relaxed) + now.saturating_sub(since);
        match Duration::from_nanos(used) >= self.limit {
            true => Err(OutOfTime::cpu_time(self.limit).into()),
            false => Ok(()),
        }
    }
}

/// Processor time of this thread, in nanoseconds.
fn now() -> u64 {
    u64::try_from(cpu_time().as_nanos()).unwrap_or(u64::MAX)
}
