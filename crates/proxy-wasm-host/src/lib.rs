//! Hosts Proxy-Wasm filters (ABI 0.1.0, 0.2.0, 0.2.1 and 0.2.100) for any proxy that implements [`Proxy`]
//! and [`HttpStream`]. It knows nothing of nginx.
//!
//! 1. [`Program::compile`] once, in the process that reads the configuration.
//! 2. In every process that runs guests: an [`Engine`], then a [`Vm`] per program
//!    ([`Vm::start`]), then a root context per plugin configuration ([`Vm::create_root`]).
//! 3. Per HTTP stream: [`Vm::create_stream`], the `on_…` callbacks, [`Vm::finish`].
//! 4. Whenever it happens: [`Vm::on_tick`], [`Vm::on_queue_ready`], and what comes of outbound calls,
//!    [`Vm::on_http_call_response`], [`Vm::on_grpc`] and [`Vm::on_redis_call_response`]. They are of a root context, but act on any
//!    stream, whose context the guest sets.
//!
//! Streams that must not share a guest's state have a VM each: [`Vm::snapshot`] after the root contexts were made, then
//! [`Snapshot::start`], which runs no code of the guest's.
//!
//! While a callback runs, the guest's calls arrive at the stream's and the proxy's trait methods.
//! They must only record what resumes, ends or replaces a stream; the callback's caller acts on it
//! afterwards.
//!
//! Guests are untrusted: whatever they pass is checked, misuse is answered with a [`Status`], and
//! only a trap of their own ends a VM.
#![forbid(unsafe_code)]

mod abi;
mod callbacks;
mod calls;
mod codec;
mod config;
mod context;
mod contexts;
mod declared;
mod error;
mod exports;
mod foreign;
mod functions;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hostcalls;
mod ids;
mod joined;
mod memory;
mod nothing;
mod pending;
mod permissions;
mod program;
mod state;
mod traits;
mod vm;
mod wasi;

pub use abi::{AbiVersion, Action, BufferType, MapType, MetricType, Status, StreamType};
pub use callbacks::Callbacks;
pub use calls::{
    CallResponse, GrpcCall, GrpcEvent, HttpCall, OwnedPairs, Pairs, RedisCall, RedisReply,
    RedisService,
};
pub use codec::serialize_map;
pub use config::{PluginConfig, VmConfig};
pub use error::{CallError, LoadError, StartError};
pub use guest_host::{Capabilities, Capability, CapabilityRules, InterfaceError, LogLevel};
pub use ids::{CallId, ContextId};
pub use program::Program;
pub use traits::{HttpStream, LocalResponse, Proxy};
pub use vm::{Snapshot, Vm};
pub use wasm_runtime::{CompileCounts, Engine, Limits, Size, Ticker, compile_counts, sha256};
