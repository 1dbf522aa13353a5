//! An executor of one thread, which sleeps in the kernel when there is nothing to do.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use component_host::LocalFuture;

#[derive(Clone, Default)]
pub struct Executor(Rc<RefCell<Vec<Spawned>>>);

type Spawned = (LocalFuture<()>, Arc<Woken>);

/// What a task has come to.
pub struct Task<T>(Rc<RefCell<Option<T>>>);

impl<T> Task<T> {
    pub fn take(&self) -> Option<T> {
        self.0.borrow_mut().take()
    }

    pub fn is_done(&self) -> bool {
        self.0.borrow().is_some()
    }
}

struct Woken {
    woken: AtomicBool,
    thread: Thread,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Executor {
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Task<T> {
        let result = Rc::new(RefCell::new(None));
        let to = result.clone();
        let task = Box::pin(async move {
            let value = future.await;
            *to.borrow_mut() = Some(value);
        });
        let woken = Arc::new(Woken {
            woken: AtomicBool::new(true),
            thread: std::thread::current(),
        });
        self.0.borrow_mut().push((task, woken));
        Task(result)
    }

    /// Runs until no task is left, or none of them is woken for long.
    pub fn run(&self) {
        assert!(self.run_until(|| false), "a task waits for ever");
    }

    /// Runs until something holds. `false`: a task waits, for too long.
    pub fn run_until(&self, holds: impl Fn() -> bool) -> bool {
        let mut idle = Instant::now();
        loop {
            if holds() || self.0.borrow().is_empty() {
                return true;
            }
            if self.turn() {
                idle = Instant::now();
            } else if idle.elapsed() > Duration::from_secs(60) {
                return false;
            } else {
                std::thread::park_timeout(Duration::from_millis(50));
            }
        }
    }

    /// Polls each task that is woken.
    pub fn turn(&self) -> bool {
        let mut tasks = std::mem::take(&mut *self.0.borrow_mut());
        let mut any = false;
        tasks.retain_mut(|(task, woken)| {
            if !woken.woken.swap(false, Ordering::Acquire) {
                return true;
            }
            any = true;
            let waker = Waker::from(woken.clone());
            task.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        });
        let mut all = self.0.borrow_mut();
        tasks.append(&mut all);
        *all = tasks;
        any
    }
}

/// Runs one future.
pub fn run<T: 'static>(future: impl Future<Output = T> + 'static) -> T {
    let executor = Executor::default();
    let task = executor.spawn(future);
    executor.run();
    task.take().unwrap()
}
