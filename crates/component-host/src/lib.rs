//! Runs wasi:http components, WASI 0.2 and 0.3, and those that take messages of Redis, for any HTTP server with an event loop
//! of its own. It knows no nginx.
//!
//! 1. [`Program::compile`] once, in the process that reads the configuration. It tells what is wrong with a component: no
//!    handler exported, an import that is not there, and which versions of it there are.
//! 2. [`Runtime::new`] in every process that serves, after the fork. Then a [`Handler`] for each program and its settings:
//!    [`Runtime::handler`].
//! 3. A request: [`Handler::handle`] gives a [`Call`] and an [`Answer`], both futures, for one executor of one thread. The call
//!    runs the guest from its start to its end and must be polled until it is [`Ended`]; the answer is the response's head as
//!    soon as the guest has set it, with a [`Body`] that comes while the guest runs. To drop the call is to end the guest.
//!    A message of a Redis channel is a call without an answer: [`Runtime::receiver`], [`Handler::take_message`].
//! 4. What the guest asks for arrives at a [`Platform`], one for each request: outgoing requests, timers, lines of output.
//!
//! Nothing of it starts a thread, or a runtime of Tokio: the waker that a future is polled with is all that is used of an
//! executor.
//!
//! - A request's URI must have scheme and authority. The `host` header, if there, is not shown to guests.
//! - [`Body`] carries trailers as its last frame, both ways.
//! - A body that a guest does not bring to its end properly ends with an error: the guest has trapped, exited, run out of time
//!   or left less or more than its content-length. A server has to cut the connection then.
//! - An instance serves one request and is gone, unless its [`Settings::reuse`] says otherwise: [`Ended::instance`] then has it
//!   for [`Instance::handle`]. One that has failed is never used again.
//! - The first polls of a call make the instance, so what goes wrong there is the call's end, too.
#![deny(unsafe_code, unsafe_op_in_unsafe_fn)]

mod answer;
mod background;
mod body;
mod call;
mod denied;
mod failure;
mod handler;
mod hooks;
mod instance;
mod interfaces;
mod linker;
mod messages;
mod p2;
mod p3;
mod platform;
mod program;
mod runtime;
mod settings;
mod spin;
mod state;
mod stdio;
mod stores;
mod wasi;

pub use answer::Answer;
pub use body::{Body, BodyError};
pub use call::{Call, Ended};
pub use failure::Failure;
pub use handler::Handler;
pub use instance::Instance;
pub use platform::{LocalFuture, Output, Platform, Timeouts};
pub use program::{LoadError, Program, Version};
pub use runtime::Runtime;
pub use settings::{Directory, Settings};
pub use stores::{KeyValue, KeyValueError, Redis, RedisError, Reply, VariableError};
pub use wasm_runtime::{Engine, Limits, Pool, Ticker};
