//! The processor time of a guest that others run beside.
//!
//! Such a guest gives way at every tick, and wherever it waits. Its store is not at hand between two pieces of it, so what it
//! has used is kept here, and shared by its store and by whoever runs it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use wasmtime::{Result, UpdateDeadline};

use crate::guard::OutOfTime;
use crate::ticker::{Clock, cpu_time};

/// Holds a guest to its processor time, which is that between two waits, or two pieces of a stream that are taken: that may go on
/// for hours. It counts from the first
/// tick on that meets it, so short pieces cost no look at a clock and count for nothing.
pub struct Meter {
    clock: Arc<Clock>,
    limit: Duration,
    /// Nanoseconds of the pieces before this one, since the guest has last waited.
    used: AtomicU64,
    /// The thread's processor time from which this piece counts, in nanoseconds; 0: it does not count yet.
    since: AtomicU64,
    /// The last piece was ended by a tick, so the next one counts from its start.
    gave_way: AtomicBool,
    /// The guest has been woken since this piece began.
    woken: AtomicBool,
    /// Who runs it.
    outer: Mutex<Option<Waker>>,
}

impl Meter {
    pub(crate) fn new(clock: Arc<Clock>, limit: Duration) -> Meter {
        Meter {
            clock,
            limit,
            used: AtomicU64::new(0),
            since: AtomicU64::new(0),
            gave_way: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            outer: Mutex::default(),
        }
    }

    /// Something of what the guest makes has been taken: it might as well have waited for that.
    pub fn taken(&self) {
        self.used.store(0, Ordering::Relaxed);
    }

    fn wake_by(&self, waker: &Waker) {
        let mut outer = self.outer.lock().unwrap_or_else(PoisonError::into_inner);
        if !outer.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *outer = Some(waker.clone());
        }
    }

    /// Runs a piece of the guest, which is woken by way of this.
    pub fn poll<R>(
        self: &Arc<Self>,
        context: &Context<'_>,
        piece: impl FnOnce(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        self.wake_by(context.waker());
        self.woken.store(false, Ordering::Relaxed);
        let waker = Waker::from(self.clone());
        let outer = self.clock.enter();
        if self.gave_way.swap(false, Ordering::Relaxed) {
            self.since.store(now(), Ordering::Relaxed);
        }
        let result = piece(&mut Context::from_waker(&waker));
        self.clock.leave(outer);
        let since = self.since.swap(0, Ordering::Relaxed);
        if since != 0 {
            let used = now().saturating_sub(since);
            self.used.fetch_add(used, Ordering::Relaxed);
        }
        // One that gives way asks to be polled again. One that does not ask for that waits, or has come to its end.
        if !self.woken.load(Ordering::Relaxed) {
            self.used.store(0, Ordering::Relaxed);
            self.gave_way.store(false, Ordering::Relaxed);
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

impl Wake for Meter {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        let outer = self.outer.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = outer.clone();
        drop(outer);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Processor time of this thread, in nanoseconds.
fn now() -> u64 {
    u64::try_from(cpu_time().as_nanos()).unwrap_or(u64::MAX)
}
