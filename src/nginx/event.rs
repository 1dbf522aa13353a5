//! Events of nginx's event loop that the module itself makes: timers, and what is posted for later.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::rc::Rc;
use std::time::Duration;

use ngx::ffi::{
    ngx_add_timer, ngx_del_timer, ngx_delete_posted_event, ngx_event_t, ngx_msec_t, ngx_post_event,
    ngx_posted_events, ngx_posted_next_events,
};

use crate::nginx::guard::guard;
use crate::nginx::log::Log;

/// nginx compares times as signed differences.
const MOST: u128 = (isize::MAX / 2) as u128;

/// An event of nginx's with what is done when its time has come. It is on the heap, since nginx's tree of timers
/// and its queues of posted events point at it; dropping this takes it out of them.
pub struct Event(Box<Inner>);

/// `repr(C)`, so that the event is at its start: with debug logging nginx reads a number at a fixed place behind
/// `data`, which lies in here then.
#[repr(C)]
struct Inner {
    event: UnsafeCell<ngx_event_t>,
    /// Counted, since what it does may drop the event.
    run: Rc<dyn Fn()>,
}

/// In which round of the event loop something that is posted has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// This one, when the events that came have been handled.
    This,
    /// The next one, which begins without a pause; nginx looks at its sockets first.
    Next,
}

impl Event {
    /// `run` is called from nginx's event loop. A panic in it ends there.
    pub fn new(run: impl Fn() + 'static) -> Event {
        let inner = Box::new(Inner {
            // SAFETY: a zeroed event is valid, and neither posted nor in nginx's tree of timers.
            event: UnsafeCell::new(unsafe { std::mem::zeroed() }),
            run: Rc::new(run),
        });
        // SAFETY: nobody else has the event yet.
        unsafe {
            let event = inner.event.get();
            (*event).data = (&raw const *inner).cast_mut().cast::<c_void>();
            (*event).handler = Some(handle);
        }
        Event(inner)
    }

    /// Has it run after this time, to the millisecond; the time begins anew if it had begun. A worker that is to exit
    /// waits for it, unless it is `cancelable`. `log` must live as long as the event waits.
    pub fn start(&self, after: Duration, cancelable: bool, log: Log) {
        let after = after.as_nanos().div_ceil(1_000_000).min(MOST) as ngx_msec_t;
        let event = self.0.event.get();
        // SAFETY: the event stays where it is until `drop` takes it out of the tree; nginx's thread is the only one.
        unsafe {
            (*event).log = log.as_ptr();
            (*event).set_cancelable(cancelable.into());
            ngx_add_timer(event, after);
        }
    }

    /// Has it run in a round of the event loop, if it is not posted already.
    pub fn post(&self, round: Round, log: Log) {
        let event = self.0.event.get();
        // SAFETY: as for a timer, it stays where it is until `drop` takes it out of the queue.
        unsafe {
            if (*event).posted() == 0 {
                (*event).log = log.as_ptr();
                ngx_post_event(
                    event,
                    match round {
                        Round::This => &raw mut ngx_posted_events,
                        Round::Next => &raw mut ngx_posted_next_events,
                    },
                );
            }
        }
    }

    /// Is it posted, and has not had its turn?
    pub fn is_posted(&self) -> bool {
        // SAFETY: nginx's thread is the only one.
        unsafe { (*self.0.event.get()).posted() != 0 }
    }

    /// Is its time running?
    pub fn is_set(&self) -> bool {
        // SAFETY: nginx's thread is the only one.
        unsafe { (*self.0.event.get()).timer_set() != 0 }
    }

    /// It does not run any more.
    pub fn cancel(&self) {
        let event = self.0.event.get();
        // SAFETY: nginx says whether it has the event, and where; it is in no other list.
        unsafe {
            if (*event).posted() != 0 {
                ngx_delete_posted_event(event);
            }
            if (*event).timer_set() != 0 {
                ngx_del_timer(event);
            }
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        self.cancel();
    }
}

unsafe extern "C" fn handle(event: *mut ngx_event_t) {
    guard((), || {
        // SAFETY: `Event::new` has set it, and an event that has gone is in none of nginx's lists.
        let inner = unsafe { &*(*event).data.cast_const().cast::<Inner>() };
        let run = inner.run.clone();
        run();
    });
}

/// A timer that does not keep a worker that is to exit.
pub struct Timer(Event);

impl Timer {
    /// As [`Event::new`].
    pub fn new(run: impl Fn() + 'static) -> Timer {
        Timer(Event::new(run))
    }

    /// As [`Event::start`].
    pub fn start(&self, after: Duration, log: Log) {
        self.0.start(after, true, log);
    }

    pub fn is_set(&self) -> bool {
        self.0.is_set()
    }

    pub fn cancel(&self) {
        self.0.cancel();
    }
}
