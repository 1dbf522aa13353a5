//! The end of a worker, for those that are to stop when it is told to quit.

use std::cell::RefCell;
use std::task::{Context, Poll, Waker};

use ngx::ffi::ngx_exiting;

thread_local! {
    /// Who waits for it.
    static WAITING: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// Has this worker been told to quit? It still ends what is going on.
pub fn is_exiting() -> bool {
    // SAFETY: nginx's own, of this thread.
    unsafe { ngx_exiting != 0 }
}

/// Ready when this worker has been told to quit.
pub fn poll(context: &Context<'_>) -> Poll<()> {
    if is_exiting() {
        return Poll::Ready(());
    }
    WAITING.with_borrow_mut(|waiting| {
        let waker = context.waker();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    });
    Poll::Pending
}

/// nginx closes its idle connections: the worker is to quit.
pub fn tell() {
    WAITING.take().into_iter().for_each(Waker::wake);
}
