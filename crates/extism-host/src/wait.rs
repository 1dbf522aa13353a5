//! Calls that wait.
//!
//! A guest that waits for a response leaves the embedder's future here and suspends its stack. The call's own future polls it,
//! outside of the guest's stack, and runs the guest again when there is a response.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use wasm_runtime::Entrance;

use crate::services::HttpResult;

type Request = Pin<Box<dyn Future<Output = HttpResult>>>;

/// What an instance waits for.
#[derive(Default)]
pub struct Waiting {
    request: RefCell<Option<Request>>,
    result: RefCell<Option<HttpResult>>,
}

impl Waiting {
    /// Has the call wait for this.
    pub fn begin(&self, request: impl Future<Output = HttpResult> + 'static) {
        self.result.take();
        self.request.replace(Some(Box::pin(request)));
    }

    /// What came of it, as seen from the guest's stack.
    pub fn poll_result(&self) -> Poll<HttpResult> {
        match self.result.take() {
            Some(result) => Poll::Ready(result),
            None => Poll::Pending,
        }
    }

    /// Polls what the guest waits for; ready as soon as it waits for nothing.
    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut request = self.request.borrow_mut();
        let Some(waits) = request.as_mut() else {
            return Poll::Ready(());
        };
        let result = match waits.as_mut().poll(context) {
            Poll::Ready(result) => result,
            Poll::Pending => return Poll::Pending,
        };
        *request = None;
        drop(request);
        self.result.replace(Some(result));
        Poll::Ready(())
    }

    fn waits(&self) -> bool {
        self.request.borrow().is_some()
    }
}

/// Nothing is waited for any more, whether the call has ended or was dropped.
struct Forget<'a>(&'a Waiting);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.request.take();
        self.0.result.take();
    }
}

/// Runs a call that may wait.
pub async fn drive<R>(entrance: &Entrance, waiting: &Waiting, call: impl Future<Output = R>) -> R {
    let _forget = Forget(waiting);
    let mut call = pin!(call);
    poll_fn(|context| {
        loop {
            if waiting.poll(context).is_pending() {
                return Poll::Pending;
            }
            let polled = entrance.run(|| call.as_mut().poll(context));
            if polled.is_ready() || !waiting.waits() {
                return polled;
            }
        }
    })
    .await
}

/// Runs what does not wait to its end. `None`: it does, and is given up.
pub fn now<R>(future: impl Future<Output = R>) -> Option<R> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}
