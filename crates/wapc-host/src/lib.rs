//! Hosts waPC guests, which answer calls of named operations with bytes. It knows nothing of nginx.
//!
//! 1. [`Program::compile`] once, in the process that reads the configuration.
//! 2. In every process that runs guests: a [`Plugin`] ([`Plugin::start`]), which takes one call at a time
//!    ([`Plugin::call`]). Its memory lives on from call to call.
//! 3. Calls that must not share it have a plugin each: [`Plugin::snapshot`] after the start, then [`Snapshot::plugin`],
//!    which runs no code of the guest's.
//!
//! What a guest asks of its host (`__host_call`) goes to the embedder's [`Services`]; [`operations`] has the list.
//!
//! Guests are untrusted: every address is checked, and a wrong one is a trap. After a trap a plugin is to be dropped.
#![forbid(unsafe_code)]

mod error;
mod exchange;
mod functions;
mod nothing;
pub mod operations;
mod plugin;
mod program;
mod state;

pub use error::{CallError, LoadError, StartError};
pub use exchange::Message;
pub use guest_host::{Capabilities, Capability, LogLevel, ServiceError, Services};
pub use plugin::{Plugin, Snapshot};
pub use program::{Program, is_wapc};
pub use state::PluginConfig;
pub use wasm_runtime::{Engine, Limits};
