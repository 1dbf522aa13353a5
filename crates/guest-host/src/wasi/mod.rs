//! WASI preview 1, as far as a guest has a system: log lines, clocks, random bytes and the
//! configured environment. There is no file system and no socket. Nothing but `proc_exit` traps.
//!
//! Source: WASI `wasi_snapshot_preview1.witx`; the answers are those of the reference host of Proxy-Wasm.

mod clocks;
mod define;
mod descriptors;
mod environment;
mod errno;
mod host;
mod process;

pub use define::define;
pub use host::Wasi;
pub use process::Exit;
