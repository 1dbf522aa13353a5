//! How many lines a second the guests of a module may write to the log.

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use ngx::ffi::{ngx_current_msec, ngx_msec_t};

use crate::nginx::event::Timer;
use crate::nginx::log::{Level, Log};

/// A second, in nginx's milliseconds.
const SECOND: ngx_msec_t = 1000;

/// Counts the lines of one module's guests in one process. Those over the rate are not written,
/// but summed up in one line when the second is over.
pub struct LogRate {
    /// Lines a second; `None`: as many as they like.
    rate: Option<u32>,
    name: Rc<str>,
    log: Log,
    /// When the second began.
    since: Cell<ngx_msec_t>,
    written: Cell<u32>,
    dropped: Cell<u64>,
    /// `None` in a process without an event loop.
    timer: Option<Timer>,
}

impl LogRate {
    /// `log` takes the sums; it must live as long as this is used. `has_events`: the process has an event loop.
    pub fn new(has_events: bool, rate: Option<u32>, name: Rc<str>, log: Log) -> Rc<LogRate> {
        Rc::new_cyclic(|this: &Weak<LogRate>| {
            let this = this.clone();
            let next = move || {
                if let Some(rate) = this.upgrade() {
                    rate.next_second();
                }
            };
            LogRate {
                rate,
                name,
                log,
                since: Cell::new(now()),
                written: Cell::new(0),
                dropped: Cell::new(0),
                timer: has_events.then(|| Timer::new(next)),
            }
        })
    }

    /// May this line, which the log's level lets through, be written?
    pub fn allows_line(&self) -> bool {
        let Some(rate) = self.rate else {
            return true;
        };
        if self.passed() >= SECOND {
            self.next_second();
        }
        if self.written.get() < rate {
            self.written.set(self.written.get() + 1);
            return true;
        }
        if self.dropped.replace(self.dropped.get() + 1) == 0 {
            self.start_timer();
        }
        false
    }

    /// Writes what there is to sum up, now.
    pub fn sum_up(&self) {
        self.stop_timer();
        let dropped = self.dropped.take();
        if let (Some(rate), 1..) = (self.rate, dropped) {
            let lines = if dropped == 1 { "line" } else { "lines" };
            self.log.write(
                Level::Warn,
                format_args!(
                    "[wasm] {}: {dropped} {lines} not written, over log_rate={rate}",
                    self.name
                ),
            );
        }
    }

    /// Milliseconds since the second began.
    fn passed(&self) -> ngx_msec_t {
        now().wrapping_sub(self.since.get())
    }

    fn next_second(&self) {
        self.sum_up();
        self.since.set(now());
        self.written.set(0);
    }

    fn start_timer(&self) {
        if let Some(timer) = &self.timer {
            let rest = SECOND.saturating_sub(self.passed()).max(1);
            timer.start(Duration::from_millis(rest as u64), self.log);
        }
    }

    fn stop_timer(&self) {
        if let Some(timer) = &self.timer {
            timer.cancel();
        }
    }
}

impl Drop for LogRate {
    fn drop(&mut self) {
        self.sum_up();
    }
}

/// nginx's clock, which stands while a callback runs.
fn now() -> ngx_msec_t {
    // SAFETY: nginx writes it in this thread only.
    unsafe { ngx_current_msec }
}
