//! Outbound connections over nginx's event loop: nothing here blocks, and nothing starts a thread.
//!
//! [`connect`] makes or reuses a connection to a [`Target`]; [`spawn`] runs the futures that use
//! it. Futures are cancelled by dropping them, which closes what they have open.

mod address;
mod body;
pub mod calls;
mod close;
mod connect;
mod connection;
mod error;
mod executor;
mod grpc;
mod http;
mod lent;
mod origin;
mod request;
mod target;
mod timer;
pub mod tls;

pub use calls::{Calls, Event};
pub use connect::{Conn, Outcome, Want, connect};
pub use error::{Error, Wait};
pub use executor::{Executor, Task, TaskGroup, spawn};
pub use grpc::channel::Channels;
pub use origin::{Origin, Top};
pub use target::Target;
pub use timer::{sleep, timeout};
pub use tls::{ServerName, Tls};

/// The process exits: all tasks end, and idle connections are closed.
pub fn shutdown() {
    executor::shutdown();
}
