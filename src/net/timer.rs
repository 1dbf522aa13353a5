//! Time as a future, on nginx's timers.

use std::cell::{Cell, UnsafeCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ngx::ffi::{ngx_add_timer, ngx_cycle, ngx_del_timer, ngx_event_t, ngx_msec_t};

use crate::net::executor::{Task, spawn};

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

/// See [`sleep`].
pub struct Sleep {
    duration: Duration,
    timer: Option<Rc<Timer>>,
}

/// Counted and not boxed, because nginx's tree of timers points at the event as well.
struct Timer {
    event: UnsafeCell<ngx_event_t>,
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
        // nginx compares times as signed differences.
        const MAX: u128 = (isize::MAX / 2) as u128;
        let milliseconds = duration.as_nanos().div_ceil(1_000_000).min(MAX) as ngx_msec_t;
        let timer = Rc::new(Timer {
            // SAFETY: a zeroed event is valid, and not in nginx's tree of timers.
            event: UnsafeCell::new(unsafe { std::mem::zeroed() }),
            waker: Cell::default(),
            fired: Cell::new(false),
        });
        // SAFETY: the event is on the heap, so it stays where it is until `drop` takes it out of
        // the tree. With debug logging nginx reads a number at a fixed place behind `data`, which
        // lies in the timer.
        unsafe {
            let event = timer.event.get();
            (*event).data = Rc::as_ptr(&timer).cast_mut().cast();
            (*event).handler = Some(on_timer);
            (*event).log = (*ngx_cycle).log;
            (*event).set_cancelable(is_cancelable().into());
            ngx_add_timer(event, milliseconds);
        }
        timer
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe {
            if (*self.event.get()).timer_set() != 0 {
                ngx_del_timer(self.event.get());
            }
        }
    }
}

unsafe extern "C" fn on_timer(event: *mut ngx_event_t) {
    crate::nginx::guard::guard((), || {
        // SAFETY: a timer takes its event out of the tree before it goes.
        let timer = unsafe { &*(*event).data.cast_const().cast::<Timer>() };
        timer.fired.set(true);
        if let Some(waker) = timer.waker.take() {
            waker.wake();
        }
    });
}
