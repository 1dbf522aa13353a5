//! What a module may take of the worker in one turn of nginx's event loop (`turn_time=`).
//!
//! A turn is one round of `ngx_process_events_and_timers`: sockets, timers, posted events. nginx does not count them, but
//! sets its clock once in each. Turns in which the clock stands still are one here, so they are never
//! too long, and [`Turn::wait`] makes a new one where nothing else does.
//!
//! What is left over when the time is used up waits, in line, for a later turn. nginx has looked at its
//! sockets by then.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ngx::ffi::{ngx_current_msec, ngx_msec_t, ngx_time_update};

use crate::net::timer::is_cancelable;
use crate::nginx::event::{Event, Round};
use crate::nginx::log::Log;

/// So many of those that wait are woken in one turn. Those for whom there is no time wait anew.
const WOKEN: usize = 64;

/// The timer never ends: it is taken away when nobody waits any more.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Some module may be over its time, or have something waiting. (One thread writes it.)
static PRESSED: AtomicBool = AtomicBool::new(false);
/// The turn in which no module is over its time any more, as things stand.
static FREE_FROM: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The number of the turn, and nginx's clock when it began.
    static NOW: Cell<(u64, ngx_msec_t)> = const { Cell::new((0, 0)) };
    // Never dropped: at the end of the process nginx's structures are gone before thread-locals.
    static LATER: &'static Later = Box::leak(Box::default());
}

/// The number of this turn.
fn number() -> u64 {
    // SAFETY: nginx writes its clock in this thread only.
    let clock = unsafe { ngx_current_msec };
    let (number, before) = NOW.get();
    if clock == before {
        return number;
    }
    NOW.set((number + 1, clock));
    number + 1
}

/// A clock that only goes forward, in ns. It is the one that is read fastest, and goes on by 1 to 10 ms at a time: what
/// is too short for it is taken for nothing, or for as much, and so is right in the sum.
fn clock() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the system writes the time there; this clock is always there. (Not by rustix, which reads a page of
    // the system's that is not there under valgrind.)
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Has nginx look at the clock within a turn, which goes on.
pub fn update_clock() {
    let number = number();
    // SAFETY: no argument; nginx calls it all the time. The clock is as in `number`.
    NOW.set((number, unsafe {
        ngx_time_update();
        ngx_current_msec
    }));
}

/// The budget of a module's guests in this process.
pub struct Turn {
    /// Of each turn, in ns.
    most: u64,
    /// The last turn in which something ran.
    number: Cell<u64>,
    /// What was used by then, less the budgets of earlier turns, in ns.
    used: Cell<u64>,
    /// What ran last had waited for its turn.
    waited: Cell<bool>,
    waiting: RefCell<VecDeque<Waker>>,
}

impl Turn {
    pub fn new(most: Duration) -> Rc<Turn> {
        Rc::new(Turn {
            most: most.as_nanos() as u64,
            number: Cell::new(0),
            used: Cell::default(),
            waited: Cell::new(false),
            waiting: RefCell::default(),
        })
    }

    /// Is the time of this turn used up?
    #[inline]
    pub fn is_over(&self) -> bool {
        self.used.get() >= self.most && self.used_up(number()) >= self.most
    }

    /// What was used by the turn of this number. What one callback takes beyond the budget counts in the turns that follow, so
    /// that others have some between two that are long.
    fn used_up(&self, number: u64) -> u64 {
        let turns = number.wrapping_sub(self.number.get());
        let free = self.most.saturating_mul(turns);
        self.used.get().saturating_sub(free)
    }

    /// May something run now that has not waited? What waits and what does not take turns.
    #[inline]
    pub fn is_free(&self) -> bool {
        !self.is_over() && (self.waited.get() || self.waiting.borrow().is_empty())
    }

    /// Runs something on the module's time; `waited`: its turn has come by [`Turn::wait`].
    pub fn run<R>(&self, waited: bool, run: impl FnOnce() -> R) -> R {
        let since = clock();
        let result = run();
        let took = clock().saturating_sub(since);
        if took > 0 {
            self.count(took);
        }
        self.waited.set(waited);
        result
    }

    #[cold]
    fn count(&self, took: u64) {
        let number = number();
        let before = self.used_up(number);
        self.number.set(number);
        let used = before.saturating_add(took);
        self.used.set(used);
        if used >= self.most {
            let free = number.saturating_add(used / self.most);
            FREE_FROM.fetch_max(free, Ordering::Relaxed);
            PRESSED.store(true, Ordering::Relaxed);
        }
    }

    /// The future's result. The time that it takes is the module's.
    pub async fn meter<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| self.run(true, || future.as_mut().poll(context))).await
    }

    /// Polls something on the module's time; if that is used up, in a later turn.
    pub fn poll<R>(
        self: &Rc<Self>,
        context: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        if self.is_over() {
            self.queue(context);
            return Poll::Pending;
        }
        self.run(true, || poll(context))
    }

    /// Has it woken when the module has time.
    fn queue(self: &Rc<Self>, context: &Context<'_>) {
        PRESSED.store(true, Ordering::Relaxed);
        let waker = context.waker().clone();
        self.waiting.borrow_mut().push_back(waker);
        LATER.with(|later| later.add(self));
    }

    /// Ready when the module's turn has come; at once, if it has time and nobody else waits.
    ///
    /// A worker that is to exit waits for that, but see [`crate::net::timer::cancelable`].
    pub async fn wait(self: &Rc<Self>) {
        let mut woken = false;
        poll_fn(|context| {
            let ready = match woken {
                true => !self.is_over(),
                false => self.is_free(),
            };
            if ready {
                return Poll::Ready(());
            }
            woken = true;
            self.queue(context);
            Poll::Pending
        })
        .await;
    }

    /// Wakes those that have waited for longest, if there is time; are there more?
    fn wake(&self) -> bool {
        if self.is_over() {
            return true;
        }
        for _ in 0..WOKEN {
            let first = self.waiting.borrow_mut().pop_front();
            match first {
                Some(waker) => waker.wake(),
                None => return false,
            }
        }
        !self.waiting.borrow().is_empty()
    }
}

/// May some module be over its time, or have something waiting? The usual answer is no, at next to no cost.
#[inline]
pub fn is_pressed() -> bool {
    PRESSED.load(Ordering::Relaxed) && still_pressed()
}

#[cold]
fn still_pressed() -> bool {
    let waits = LATER.with(|later| !later.modules.borrow().is_empty());
    let pressed = waits || number() < FREE_FROM.load(Ordering::Relaxed);
    PRESSED.store(pressed, Ordering::Relaxed);
    pressed
}

/// The modules that have something waiting, and nginx's events that see to them.
struct Later {
    modules: RefCell<Vec<Rc<Turn>>>,
    /// The turn in which the event was posted.
    posted: Cell<u64>,
    event: Event,
    /// Keeps a worker that is to exit, which looks at timers only.
    keep: Event,
}

impl Default for Later {
    fn default() -> Later {
        Later {
            modules: RefCell::default(),
            posted: Cell::new(0),
            event: Event::new(|| LATER.with(|later| later.run())),
            keep: Event::new(|| {}),
        }
    }
}

impl Later {
    fn add(&self, turn: &Rc<Turn>) {
        let mut modules = self.modules.borrow_mut();
        if !modules.iter().any(|known| Rc::ptr_eq(known, turn)) {
            modules.push(turn.clone());
        }
        drop(modules);
        self.post();
        if !is_cancelable() {
            self.keep();
        }
    }

    /// Has [`Later::run`] called in the next turn. What nginx has in this queue lets it look at its
    /// sockets first, but keeps it from waiting for them.
    fn post(&self) {
        if !self.event.is_posted() {
            self.posted.set(number());
            self.event.post(Round::Next, Log::of_cycle());
        }
    }

    fn keep(&self) {
        if !self.keep.is_set() {
            self.keep.start(KEPT, false, Log::of_cycle());
        }
    }

    fn run(&self) {
        let number = number();
        if number == self.posted.get() {
            // nginx's clock has not moved.
            NOW.set((number + 1, NOW.get().1));
        }
        self.keep.cancel();
        let mut left = self.modules.take();
        left.retain(|module| module.wake());
        for module in &left {
            self.add(module);
            self.keep();
        }
    }
}
