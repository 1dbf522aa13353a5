//! Hosts http-wasm guests: middleware that sees a request before the next handler, and its response behind it. It knows
//! nothing of nginx.
//!
//! 1. [`Program::compile`] once, in the process that reads the configuration.
//! 2. In every process that runs guests: a [`Vm`] ([`Vm::start`]), which has one request at a time, from
//!    [`Vm::handle_request`] to the end of [`Vm::handle_response`], since guests keep state in globals between the two.
//!    Then [`Vm::end`], and the next request.
//! 3. Requests that must not share it have the state after the start each: [`Vm::snapshot`], then [`Snapshot::vm`] and
//!    [`Snapshot::rewind`], which run no code of the guest's.
//!
//! What a guest asks of its request goes to the embedder's [`Exchange`], as far as it may be asked for at that time.
//! What it answers before the next handler has been called is kept here ([`Answer`]); so is what it writes into bodies.
//!
//! Guests are untrusted: every address is checked, and what the ABI forbids is a trap. After a trap a [`Vm`] is to be
//! dropped.
#![forbid(unsafe_code)]

mod answer;
mod error;
mod exchange;
mod features;
mod functions;
mod nothing;
mod program;
mod state;
mod vm;

pub use answer::Answer;
pub use error::{CallError, LoadError, StartError};
pub use exchange::{BodyKind, Exchange, HeaderKind, Invalid, Proxy};
pub use features::Features;
pub use guest_host::{Capabilities, Capability, LogLevel, ServiceError, Services};
pub use program::{Imports, Program, is_http_wasm};
pub use state::VmConfig;
pub use vm::{Next, Snapshot, Vm};
pub use wasm_runtime::{Engine, Limits};
