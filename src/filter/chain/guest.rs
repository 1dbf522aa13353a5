//! A filter's instance, as the chain sees it: whatever kind of guest it is.

use std::rc::{Rc, Weak};

use proxy_wasm_host::{Action, CallError, ContextId};
use thiserror::Error;

use crate::filter::chain::context::stops::Stops;
use crate::filter::chain::stage::Direction;
use crate::net::turn::Turn;
use crate::worker::modules::Waiter;

/// A callback of a stream.
#[derive(Clone, Copy, Debug)]
pub enum Callback {
    /// Pairs in the map, and whether nothing follows.
    Headers(Direction, usize, bool),
    /// Bytes in the buffer, and whether nothing follows.
    Body(Direction, usize, bool),
    /// Pairs in the map; of responses alone, since nginx has none of requests.
    ResponseTrailers(usize),
}

/// Why a callback has not been made, or did not return.
#[derive(Debug, Error)]
pub enum Failure {
    #[error(transparent)]
    Call(#[from] CallError),
    /// There is no instance for the request.
    #[error("all of instances= are in use, and queue= is full")]
    NoInstance,
    /// The module is left alone for a while.
    #[error("did not start a moment ago")]
    NotStarted,
}

impl Failure {
    /// Is it none, but that a filter has ended the request before its callback?
    pub fn is_end(&self) -> bool {
        matches!(self, Failure::Call(CallError::EndedAtCreation))
    }
}

/// A running instance; streams have contexts in it, by their numbers.
pub trait Guest {
    /// The module's name in the configuration.
    fn name(&self) -> &str;

    /// What its module may take of a turn of nginx's event loop.
    fn turn(&self) -> &Rc<Turn>;

    /// May it still be called? A callback that runs may.
    fn is_alive(&self) -> bool;

    /// Has `waiter` told when the instance fails.
    fn watch(&self, waiter: Weak<dyn Waiter>);

    /// Makes a callback in a stream's context. A call from within one of its own host calls is refused.
    fn call(&self, stream: ContextId, callback: Callback) -> Result<Action, Failure>;

    /// Makes the last callbacks in a stream's context: done, log if the request can still be read, delete.
    fn finish(&self, stream: ContextId, log: bool) -> Result<(), Failure>;

    /// A callback has failed, and the request must not go on without it: notes how it ends.
    fn end_request(&self, stops: &Stops) {
        stops.fail();
    }

    /// The request that the instance may belong to has ended: it stays as long as it has calls going.
    fn request_ended(&self);
}
