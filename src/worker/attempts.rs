//! Attempts to start a module, after a failure at intervals that grow.

use std::cell::Cell;
use std::fmt::Display;
use std::rc::Rc;
use std::time::Duration;

use crate::nginx::event::Timer;
use crate::nginx::log::{Level, Log};

/// When one that did not start is tried again; after each further failure in twice the time.
const RETRY: Duration = Duration::from_secs(1);

/// The longest time between two attempts is so many times as long.
const LONGEST: u32 = 64;

/// The attempts to start a module in a worker.
pub struct Attempts {
    name: Rc<str>,
    /// The cycle's.
    log: Log,
    /// Those that have failed since one did not.
    failures: Cell<u32>,
    /// Until the next one. It does not keep a worker that is shutting down.
    timer: Timer,
}

impl Attempts {
    /// `again` is called when it is time for the next one; `log` is the cycle's.
    pub fn new(name: &str, log: Log, again: impl Fn() + 'static) -> Attempts {
        Attempts {
            name: name.into(),
            log,
            failures: Cell::new(0),
            timer: Timer::new(again),
        }
    }

    /// Has one failed a moment ago, so that the module is left alone?
    pub fn waits(&self) -> bool {
        self.failures.get() > 0 && self.timer.is_set()
    }

    /// Tells a request that it is left alone.
    pub fn tell(&self, log: Log) {
        let name = &self.name;
        log.write(
            Level::Info,
            format_args!("[wasm] {name}: did not start a moment ago"),
        );
    }

    /// One has failed. It is not counted where others have failed meanwhile.
    pub fn failed(&self, error: impl Display, log: Log) {
        if self.waits() {
            return;
        }
        let failures = self.failures.get();
        self.failures.set(failures.saturating_add(1));
        let times = 1u32.checked_shl(failures).unwrap_or(LONGEST).min(LONGEST);
        let after = RETRY * times;
        self.timer.start(after, self.log);
        let (name, after) = (&self.name, after.as_secs());
        log.write(
            Level::Error,
            format_args!("[wasm] {name}: {error}; tried again in {after} s"),
        );
    }

    /// It runs.
    pub fn succeeded(&self, log: Log) {
        self.timer.cancel();
        let (name, failures) = (&self.name, self.failures.replace(0));
        if failures > 0 {
            log.write(
                Level::Notice,
                format_args!("[wasm] {name}: started, after {failures} attempts that failed"),
            );
        }
    }

    /// What ran has trapped: one more is due in a moment, though nothing asks for it.
    pub fn restart(&self) {
        self.timer.start(RETRY, self.log);
    }

    /// There are to be no more.
    pub fn end(&self) {
        self.timer.cancel();
    }
}
