//! Outbound connections over nginx's event loop: nothing here blocks, and nothing starts a thread.
//!
//! [`Calls`] are what guests have asked for. [`connect::connect`] makes or reuses a connection to a
//! [`target::Target`]; [`executor::spawn`] runs the futures that use it. Futures are cancelled by
//! dropping them, which closes what they have open.

mod address;
mod body;
mod budget;
pub mod calls;
mod close;
mod connect;
// Without TLS there are no handshakes.
#[cfg_attr(not(ngx_feature = "ssl"), allow(dead_code))]
mod connection;
mod error;
mod executor;
mod fake;
mod grpc;
mod http;
mod http_call;
mod lent;
mod origin;
mod peer;
mod pool;
pub mod redis;
mod request;
mod resolve;
mod slots;
mod target;
mod timer;
pub mod tls;
mod turn;

pub use budget::Budget;
pub use calls::{Calls, Event};
pub use close::close;
pub use executor::{Task, spawn};
pub use grpc::channel::Channels;
pub use origin::{Caller, Origin, Owner, Top};
pub use resolve::addresses;
pub use slots::{ModuleSlots, Slots};
pub use target::{is_host_name, is_target, is_upstream_block};
pub use timer::{cancelable, spawn_call};
pub use turn::{Turn, hurry, is_pressed};

/// The process exits: all tasks end, and idle connections are closed.
pub fn shutdown() {
    executor::shutdown();
    pool::shutdown();
}
