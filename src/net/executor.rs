//! Runs futures on nginx's event loop.
//!
//! Waking a task only puts it into a queue. Tasks are polled from one posted event, never from
//! within the code that woke them; what is woken meanwhile has its turn in the next iteration of
//! nginx's loop, so that no task can keep nginx from its other events.
//!
//! It is not `ngx::async_` of the crate `ngx` 0.5, for four reasons. That one polls a task within the call that wakes
//! it. It has no bound for the time that tasks take in a round of the loop. A panic in a task ends the worker. Its
//! timers never keep a worker that is to exit, which is to wait for requests.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::net::turn;
use crate::nginx::event::{Event, Round};
use crate::nginx::log::Log;

/// How long tasks are polled in one iteration of nginx's loop, from the end of the first on.
const ROUND: Duration = Duration::from_millis(10);

type BoxedFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A spawned future; dropping this cancels it.
///
/// A task that is dropped while it is being polled, by itself or by what it has called, ends when
/// that poll has returned.
#[must_use = "dropping a task cancels it"]
pub struct Task {
    id: u64,
}

/// Has `future` polled from nginx's event loop, not before this function has returned.
pub fn spawn(future: impl Future<Output = ()> + 'static) -> Task {
    CORE.with(|core| core.spawn(Box::pin(future)))
}

/// Has others have their turn.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Drops all tasks: the process exits.
pub fn shutdown() {
    CORE.with(|core| {
        core.ready.borrow_mut().clear();
        let slots = core.slots.take();
        // A drop may cancel other tasks, or spawn some, which nothing will poll.
        crate::nginx::guard::guard((), || drop(slots));
    });
}

impl Task {
    /// Has the future returned?
    pub fn is_finished(&self) -> bool {
        CORE.with(|core| !core.slots.borrow().contains_key(&self.id))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        CORE.with(|core| {
            let slot = core.slots.borrow_mut().remove(&self.id);
            // The future's own drop may use the executor, so nothing is borrowed here.
            crate::nginx::guard::guard((), || drop(slot));
        });
    }
}

/// Tasks that are cancelled together, when this is dropped.
#[derive(Default)]
pub struct TaskGroup(Rc<RefCell<Vec<Task>>>);

impl TaskGroup {
    /// For hyper: what it executes belongs to the group.
    pub fn executor(&self) -> Executor {
        Executor(Rc::downgrade(&self.0))
    }
}

/// Spawns into a [`TaskGroup`]; what comes after the group's end is dropped.
#[derive(Clone)]
pub struct Executor(Weak<RefCell<Vec<Task>>>);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + 'static,
{
    fn execute(&self, future: F) {
        let Some(tasks) = self.0.upgrade() else {
            return;
        };
        let task = spawn(async move {
            future.await;
        });
        let mut tasks = tasks.borrow_mut();
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }
}

thread_local! {
    // Never dropped: at the end of the process nginx's structures are gone before thread-locals.
    static CORE: &'static Core = Box::leak(Box::new(Core::new()));
}

enum Slot {
    Idle(BoxedFuture, Arc<Signal>),
    Polling,
}

struct Core {
    slots: RefCell<HashMap<u64, Slot>>,
    next_id: Cell<u64>,
    ready: RefCell<VecDeque<Arc<Signal>>>,
    running: Cell<bool>,
    /// Has nginx's loop come here yet?
    looping: Cell<bool>,
    event: Event,
}

impl Core {
    fn new() -> Core {
        Core {
            slots: RefCell::default(),
            next_id: Cell::new(0),
            ready: RefCell::default(),
            running: Cell::new(false),
            looping: Cell::new(false),
            event: Event::new(|| CORE.with(|core| core.run())),
        }
    }

    fn spawn(&self, future: BoxedFuture) -> Task {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        let signal = Arc::new(Signal {
            id,
            home: std::thread::current().id(),
            queued: AtomicBool::new(false),
        });
        let slot = Slot::Idle(future, signal.clone());
        self.slots.borrow_mut().insert(id, slot);
        signal.wake();
        Task { id }
    }

    fn schedule(&self, signal: Arc<Signal>) {
        self.ready.borrow_mut().push_back(signal);
        if self.running.get() {
            return;
        }
        // What is posted while the process starts would wait for the first event of another kind:
        // only the next iteration's queue keeps `ngx_process_events_and_timers` from sleeping.
        self.post(match self.looping.get() {
            true => Round::This,
            false => Round::Next,
        });
    }

    fn post(&self, round: Round) {
        self.event.post(round, Log::of_cycle());
    }

    /// Polls each task that has been woken so far, once; as many of them as there is time for.
    fn run(&self) {
        // Guests may have run for a while since nginx last looked at the clock.
        turn::update_clock();
        self.looping.set(true);
        self.running.set(true);
        let count = self.ready.borrow().len();
        let mut since = None;
        for _ in 0..count {
            let Some(signal) = self.ready.borrow_mut().pop_front() else {
                break;
            };
            signal.queued.store(false, Ordering::Relaxed);
            self.poll(signal.id);
            if count > 1 && since.get_or_insert_with(Instant::now).elapsed() >= ROUND {
                break;
            }
        }
        self.running.set(false);
        if !self.ready.borrow().is_empty() {
            self.post(Round::Next);
        }
    }

    fn poll(&self, id: u64) {
        let (mut future, signal) = match self.slots.borrow_mut().get_mut(&id) {
            None => return,
            Some(slot) => match std::mem::replace(slot, Slot::Polling) {
                Slot::Idle(future, signal) => (future, signal),
                Slot::Polling => return,
            },
        };
        let waker = Waker::from(signal.clone());
        let result = crate::nginx::guard::guard(Poll::Ready(()), || {
            future.as_mut().poll(&mut Context::from_waker(&waker))
        });
        if result.is_pending() {
            let mut slots = self.slots.borrow_mut();
            // It is not there any more when the task was cancelled meanwhile.
            if let Some(slot) = slots.get_mut(&id) {
                *slot = Slot::Idle(future, signal);
                return;
            }
        } else {
            self.slots.borrow_mut().remove(&id);
        }
        crate::nginx::guard::guard((), || drop(future));
    }
}

/// What wakers refer to: a task's number.
struct Signal {
    id: u64,
    home: ThreadId,
    queued: AtomicBool,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        // A worker has one thread. A waker that was carried to another has no queue to go to.
        if std::thread::current().id() == self.home && !self.queued.swap(true, Ordering::Relaxed) {
            CORE.with(|core| core.schedule(self));
        }
    }
}
