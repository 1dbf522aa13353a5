//! All tests in one program: linking Wasmtime takes longer than they do.

mod common;

mod addresses;
mod calls;
mod hostile;
mod load;
mod operations;
mod snapshot;
mod start;
mod wasi;
