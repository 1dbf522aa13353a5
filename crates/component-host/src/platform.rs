//! What a server offers to guests.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use send_wrapper::SendWrapper;

use crate::body::{Body, BodyError};
use crate::stores::{KeyValue, KeyValueError, Redis, RedisError, VariableError};

/// A future of one thread.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// What a server offers to the guest of one request. All of it is called on the thread that polls the [`Call`](crate::Call).
pub trait Platform {
    /// Sends an outgoing request, and answers the response's head as soon as it is there. It is polled by the call until then,
    /// whether the guest waits for it or not; the guest may write the request's body meanwhile. What is left of that body when
    /// the response's head has come is for the response's body to send on, as it is read. To drop the future, or the
    /// response's body, is to give the request up.
    ///
    /// The URI has scheme (`http` or `https`) and authority; there is a `host` header. Which hosts are allowed is for the
    /// server to say: [`BodyError::HttpRequestDenied`].
    fn send(
        &self,
        request: http::Request<Body>,
        timeouts: Timeouts,
    ) -> LocalFuture<Result<http::Response<Body>, BodyError>>;

    /// Is done when so much time is over, by the server's own timers. No time at all is over at the next turn of the event
    /// loop: others have theirs before.
    fn sleep(&self, duration: Duration) -> LocalFuture<()>;

    /// A line of the guest's output, without its end; or what stands in the last one, which may have none.
    fn print(&self, output: Output, line: &[u8]);

    /// The key-value store of this name; by default there is none.
    fn open_store(&self, _name: &str) -> Result<Rc<dyn KeyValue>, KeyValueError> {
        Err(KeyValueError::NoSuchStore)
    }

    /// The value of a variable of the application; by default there is none.
    fn variable(&self, name: &str) -> Result<String, VariableError> {
        Err(VariableError::Undefined(name.to_owned()))
    }

    /// All variables, with their values.
    fn variables(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// The Redis server of this address (`redis://user:password@host:port/database`); by default none is allowed.
    fn open_redis(&self, _address: &str) -> Result<Rc<dyn Redis>, RedisError> {
        Err(RedisError::InvalidAddress)
    }
}

/// How long an outgoing request may take. `None`: the server's own limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Option<Duration>,
    pub first_byte: Option<Duration>,
    pub between_bytes: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Stdout,
    Stderr,
}

/// A platform's future, for Wasmtime, which may poll it from any thread but does so from this one alone.
pub(crate) struct Sent<T>(SendWrapper<LocalFuture<T>>);

impl<T> Sent<T> {
    pub fn new(future: LocalFuture<T>) -> Sent<T> {
        Sent(SendWrapper::new(future))
    }
}

impl<T> Future for Sent<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.0.as_mut().poll(cx)
    }
}
