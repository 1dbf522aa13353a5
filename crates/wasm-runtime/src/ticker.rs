//! The clock that ends guests which run for too long.
//!
//! Wasmtime's epochs: compiled code compares a counter with the deadline of its store, and a thread counts it up. The
//! thread ticks only while guests run, or have run since its last tick, and is parked otherwise: a process without
//! traffic has nothing to do, and to enter a guest costs two stores.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use wasmtime::Engine;

use crate::signals;

/// How often the epochs are counted up, at most.
pub const TICK: Duration = Duration::from_millis(10);

/// What the thread and those who run guests share.
#[derive(Default)]
pub(crate) struct Clock {
    /// A guest has been entered since the last tick.
    entered: AtomicBool,
    /// A guest is running.
    inside: AtomicBool,
    parked: AtomicBool,
    ends: AtomicBool,
    engines: Mutex<Vec<Engine>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The thread; it ends, and is waited for, when this is dropped.
#[must_use]
pub struct Ticker(Weak<Clock>);

impl Clock {
    /// Has the epochs of this engine counted up, too.
    pub fn add(&self, engine: &Engine) {
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        engines.push(engine.clone());
    }

    /// A guest is about to run. Answers whether one runs already, which calls it in a way.
    #[inline]
    pub fn enter(&self) -> bool {
        let outer = self.inside.load(Ordering::Relaxed);
        self.inside.store(true, Ordering::Relaxed);
        if !self.entered.load(Ordering::Relaxed) {
            self.wake();
        }
        outer
    }

    /// It has returned, to what [`Clock::enter`] answered.
    #[inline]
    pub fn leave(&self, outer: bool) {
        self.inside.store(outer, Ordering::Relaxed);
    }

    /// Once a tick.
    #[cold]
    fn wake(&self) {
        self.entered.store(true, Ordering::Relaxed);
        // Either this sees that the thread is parked, or the thread sees that a guest has been entered.
        fence(Ordering::SeqCst);
        if self.parked.load(Ordering::Relaxed) {
            self.unpark();
        }
    }

    fn unpark(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.as_ref() {
            thread.thread().unpark();
        }
    }

    /// Starts the thread, which ticks so often.
    pub fn start(self: &Arc<Clock>, tick: Duration) -> io::Result<Ticker> {
        let clock = self.clone();
        clock.ends.store(false, Ordering::Relaxed);
        let mask = signals::block_all()?;
        // The thread has the signal mask of the one that starts it.
        let started = thread::Builder::new()
            .name("wasm-ticker".into())
            .stack_size(64 << 10)
            .spawn(move || clock.run(tick));
        signals::restore(&mask);
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        *thread = Some(started?);
        Ok(Ticker(Arc::downgrade(self)))
    }

    fn run(&self, tick: Duration) {
        while !self.ends.load(Ordering::Relaxed) {
            self.entered.store(false, Ordering::Relaxed);
            if !self.sleep(tick) {
                return;
            }
            let engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
            engines.iter().for_each(Engine::increment_epoch);
            drop(engines);
            // A guest that was entered as the flag still stood has said so long ago: a whole tick is
            // between the two looks, or one that loops could be missed, and the thread park.
            if !self.entered.load(Ordering::Relaxed) && !self.inside.load(Ordering::Relaxed) {
                self.park();
            }
        }
    }

    /// Lets the time of a tick pass. `false`: the thread is to end, which is not waited for.
    fn sleep(&self, tick: Duration) -> bool {
        let since = Instant::now();
        loop {
            if self.ends.load(Ordering::Relaxed) {
                return false;
            }
            match tick.checked_sub(since.elapsed()) {
                Some(left) if !left.is_zero() => thread::park_timeout(left),
                _ => return true,
            }
        }
    }

    fn park(&self) {
        self.parked.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let busy = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        while !busy(&self.entered) && !busy(&self.inside) && !busy(&self.ends) {
            thread::park();
        }
        self.parked.store(false, Ordering::Relaxed);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        let Some(clock) = self.0.upgrade() else {
            return;
        };
        clock.ends.store(true, Ordering::SeqCst);
        let thread = clock
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            thread.thread().unpark();
            // It does not panic.
            let _ = thread.join();
        }
    }
}

/// Processor time that this thread has used.
#[allow(unsafe_code)]
pub(crate) fn cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the system writes the time to a local; this clock is always there. (Not by rustix, which reads a page of
    // the system's that is not there under valgrind.)
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_tick_is_not_waited_for() {
        let clock = Arc::new(Clock::default());
        let since = Instant::now();
        drop(clock.start(Duration::from_secs(60)).unwrap());
        assert!(since.elapsed() < Duration::from_secs(30));
    }
}
