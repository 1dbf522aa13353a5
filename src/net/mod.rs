//! Outbound connections over nginx's event loop: nothing here blocks, and nothing starts a thread.
//!
//! [`Calls`] are what guests have asked for. [`connect::connect`] makes or reuses a connection to a
//! [`target::Target`]; [`executor::spawn`] runs the futures that use it. Futures are cancelled by
//! dropping them, which closes what they have open.

pub mod address;
pub mod close;
pub mod connect;
// Without TLS there are no handshakes.
#[cfg_attr(not(ngx_feature = "ssl"), allow(dead_code))]
pub mod connection;
pub mod error;
pub mod executor;
pub mod line;
pub mod origin;
pub mod pool;
pub mod resolve;
pub mod settings;
pub mod slots;
pub mod target;
pub mod timer;
pub mod tls;
pub mod turn;
pub mod upstream;
