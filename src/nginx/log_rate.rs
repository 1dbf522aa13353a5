//! How many lines a second the guests of a module may write to the log.

use std::cell::{Cell, UnsafeCell};
use std::rc::Rc;

use ngx::ffi::{ngx_add_timer, ngx_current_msec, ngx_del_timer, ngx_event_t, ngx_msec_t};

use crate::filter::proxy_wasm::instance::Process;
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
    timer: Option<UnsafeCell<ngx_event_t>>,
}

impl LogRate {
    /// `log` takes the sums; it must live as long as this is used.
    pub fn new(process: Process, rate: Option<u32>, name: Rc<str>, log: Log) -> Rc<LogRate> {
        Rc::new(LogRate {
            rate,
            name,
            log,
            since: Cell::new(now()),
            written: Cell::new(0),
            dropped: Cell::new(0),
            // SAFETY: a zeroed event is valid, and not in nginx's tree of timers.
            timer: (process == Process::Worker)
                .then(|| UnsafeCell::new(unsafe { std::mem::zeroed() })),
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
        if let Some(event) = self.timer.as_ref().map(UnsafeCell::get) {
            // SAFETY: this is counted, so the event stays where it is until `drop` takes it out of
            // the tree. A cancelable timer does not keep a worker that is shutting down.
            unsafe {
                (*event).data = (&raw const *self).cast_mut().cast();
                (*event).handler = Some(on_timer);
                (*event).log = self.log.as_ptr();
                (*event).set_cancelable(1);
                ngx_add_timer(event, SECOND.saturating_sub(self.passed()).max(1));
            }
        }
    }

    fn stop_timer(&self) {
        if let Some(event) = self.timer.as_ref().map(UnsafeCell::get) {
            // SAFETY: as above.
            unsafe {
                if (*event).timer_set() != 0 {
                    ngx_del_timer(event);
                }
            }
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

unsafe extern "C" fn on_timer(event: *mut ngx_event_t) {
    crate::nginx::guard::guard((), || {
        // SAFETY: a timer takes its event out of the tree before it goes.
        let rate: &LogRate = unsafe { &*(*event).data.cast_const().cast() };
        rate.next_second();
    });
}
