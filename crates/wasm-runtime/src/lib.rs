//! Compiles and runs WebAssembly with Wasmtime. Knows no ABI and no proxy.
//!
//! An [`Engine`] belongs to one process. What it compiles is an [`Artifact`], which any engine
//! of this program can [load](Engine::load), also in a process forked later: the code lies in
//! an anonymous file, so that all of them map the same pages.
#![deny(unsafe_code, unsafe_op_in_unsafe_fn)]

mod artifact;
mod cache;
mod child;
mod compile;
mod component;
mod engine;
mod error;
mod guard;
mod limits;
mod meter;
mod modules;
mod outline;
mod precompile;
mod settings;
mod signals;
mod snapshot;
mod source;
mod stack;
mod ticker;
mod trap;

pub use artifact::{Artifact, CompileCounts, compile_counts, sha256};
pub use component::{ComponentEngine, ComponentOutline, Pool, is_component};
pub use engine::Engine;
pub use error::{Error, one_line};
pub use guard::{Entrance, Guard, OutOfMemory, OutOfTime};
pub use limits::{Limits, Size};
pub use meter::Meter;
pub use outline::{Export, Import, Outline, Type};

pub use snapshot::{Initial, Rewind, Snapshot, clear};
pub use ticker::Ticker;
pub use trap::{BETWEEN, trap_reason};
/// The runtime itself, for whoever defines host functions.
pub use wasmtime;
