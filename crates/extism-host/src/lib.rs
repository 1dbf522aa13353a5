//! Hosts Extism plugins for any embedder that implements [`Services`]. It knows nothing of nginx.
//!
//! 1. [`Program::compile`] once, in the process that reads the configuration: a [`Manifest`], or a module alone
//!    ([`Manifest::of_module`]). [`is_extism`] tells whether a module is one.
//! 2. In every process that runs guests: a [`Linked`] per program and configuration.
//! 3. An instance: [`Linked::plugin`]. It keeps its state, globals and vars, from call to call. More of them serve calls that
//!    come at once.
//! 4. A call: [`Plugin::call`], a future, or [`Plugin::call_now`] where the program [does not wait](Program::waits). The
//!    [`Outcome`] has the output, which lies in the guest's memory. Who keeps the instance has to look whether it is
//!    [poisoned](Plugin::poisoned) then.
//!
//! Calls that must not share a guest's state have an instance each: [`Plugin::snapshot`] after [`Plugin::start`], then
//! [`Snapshot::plugin`], which runs no code of the guest's; [`Snapshot::rewind`] makes one that was used like new.
//!
//! While a call runs, the guest's calls arrive at the trait methods of [`Services`]. A guest that waits for a response has a
//! stack of its own; the call's future then polls what [`Services::http_request`] has returned. It needs no executor of any
//! kind, and the waker that the embedder passes is all that is used of it.
//!
//! Guests are untrusted: whatever they pass is checked. What they do wrong is answered as the Rust host of Extism does, which
//! ends the call in some cases; nothing but the instance is lost then.
#![forbid(unsafe_code)]

mod error;
mod exports;
mod functions;
mod imports;
mod kernel;
mod linked;
mod manifest;
mod plugin;
mod program;
mod services;
mod settings;
mod state;
mod wait;

pub use error::{Failure, LoadError, ManifestError, StartError};
pub use exports::Function;
pub use guest_host::{Capabilities, Capability, LogLevel, ServiceError};
pub use linked::Linked;
pub use manifest::{Manifest, Module, Source};
pub use plugin::{Input, Outcome, Plugin, Snapshot};
pub use program::{Program, is_extism};
pub use services::{HttpRequest, HttpResult, Services};
pub use settings::PluginConfig;
pub use wasm_runtime::{Engine, Limits, Ticker};
