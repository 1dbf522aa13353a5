//! A platform that notes what it is asked for.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use component_host::{Body, BodyError, LocalFuture, Output, Platform, Timeouts};

type Sent = LocalFuture<Result<http::Response<Body>, BodyError>>;
type Answer = dyn Fn(http::Request<Body>, Timeouts) -> Sent;

#[derive(Clone, Default)]
pub struct Mock {
    pub lines: Rc<RefCell<Vec<(Output, String)>>>,
    pub slept: Rc<RefCell<Vec<Duration>>>,
    answer: Rc<RefCell<Option<Rc<Answer>>>>,
}

impl Mock {
    /// What comes of outgoing requests.
    pub fn answer<F>(&self, answer: impl Fn(http::Request<Body>, Timeouts) -> F + 'static)
    where
        F: Future<Output = Result<http::Response<Body>, BodyError>> + 'static,
    {
        let answer: Rc<Answer> =
            Rc::new(move |request, timeouts| Box::pin(answer(request, timeouts)));
        *self.answer.borrow_mut() = Some(answer);
    }

    pub fn lines(&self) -> Vec<(Output, String)> {
        self.lines.borrow_mut().drain(..).collect()
    }
}

impl Platform for Mock {
    fn send(&self, request: http::Request<Body>, timeouts: Timeouts) -> Sent {
        match &*self.answer.borrow() {
            Some(answer) => answer(request, timeouts),
            None => Box::pin(async { Err(BodyError::HttpRequestDenied) }),
        }
    }

    fn sleep(&self, duration: Duration) -> LocalFuture<()> {
        self.slept.borrow_mut().push(duration);
        let end = Instant::now() + duration;
        let mut first = true;
        Box::pin(std::future::poll_fn(move |cx| {
            if !std::mem::take(&mut first) && Instant::now() >= end {
                return Poll::Ready(());
            }
            // The executor has no timers: it looks again at once.
            cx.waker().wake_by_ref();
            Poll::Pending
        }))
    }

    fn print(&self, output: Output, line: &[u8]) {
        let line = String::from_utf8_lossy(line).into_owned();
        self.lines.borrow_mut().push((output, line));
    }
}
