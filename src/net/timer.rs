//! Time as a future, on nginx's timers.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::net::executor::{Task, spawn};
use crate::nginx::event::Event;
use crate::nginx::log::Log;

thread_local! {
    static CANCELABLE: Cell<bool> = const { Cell::new(false) };
}

/// The future's result. A worker that is to exit does not wait for the timers that the future
/// sets, here and on connections.
pub async fn cancelable<F: Future>(future: F) -> F::Output {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            CANCELABLE.set(self.0);
        }
    }
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        let _before = Restore(CANCELABLE.replace(true));
        future.as_mut().poll(context)
    })
    .await
}

/// Has a call polled from nginx's event loop; `keeps_worker`: see
/// [`Origin::keeps_worker`](crate::net::origin::Origin::keeps_worker).
pub fn spawn_call(keeps_worker: bool, call: impl Future<Output = ()> + 'static) -> Task {
    match keeps_worker {
        true => spawn(call),
        false => spawn(cancelable(call)),
    }
}

/// Is the future that is being polled [`cancelable`]?
pub fn is_cancelable() -> bool {
    CANCELABLE.get()
}

/// Ready `duration` after it was first polled, to the millisecond.
///
/// A worker that is to exit waits for the timer, as it does for requests; but see [`cancelable`].
pub fn sleep(duration: Duration) -> Sleep {
    Sleep {
        duration,
        timer: None,
    }
}

/// The future's result, or `None` when it takes longer than `duration`.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut sleep = sleep(duration);
    std::future::poll_fn(|context| {
        if let Poll::Ready(result) = future.as_mut().poll(context) {
            return Poll::Ready(Some(result));
        }
        Pin::new(&mut sleep).poll(context).map(|()| None)
    })
    .await
}

/// How long a timer that has no other use is set for.
const KEPT: Duration = Duration::from_secs(3600);

/// The future's result. A worker that is to exit waits for it, even while it waits for nothing that nginx knows of: nginx ends a
/// worker whose timers are all gone (`ngx_worker_process_cycle`), and a guest that computes from one turn of the loop to the next
/// has none.
pub async fn keeping_worker<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut timer = sleep(KEPT);
    std::future::poll_fn(|context| {
        if let Poll::Ready(result) = future.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        while Pin::new(&mut timer).poll(context).is_ready() {
            timer = sleep(KEPT);
        }
        Poll::Pending
    })
    .await
}

/// See [`sleep`].
pub struct Sleep {
    duration: Duration,
    timer: Option<Rc<Timer>>,
}

struct Timer {
    event: Event,
    waker: Cell<Option<Waker>>,
    fired: Cell<bool>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let duration = self.duration;
        let timer = self.timer.get_or_insert_with(|| Timer::start(duration));
        if timer.fired.get() {
            return Poll::Ready(());
        }
        timer.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Timer {
    fn start(duration: Duration) -> Rc<Timer> {
        let timer = Rc::new_cyclic(|timer: &Weak<Timer>| {
            let timer = timer.clone();
            Timer {
                event: Event::new(move || {
                    if let Some(timer) = timer.upgrade() {
                        timer.fire();
                    }
                }),
                waker: Cell::default(),
                fired: Cell::new(false),
            }
        });
        let log = Log::of_cycle();
        timer.event.start(duration, is_cancelable(), log);
        timer
    }

    fn fire(&self) {
        self.fired.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
