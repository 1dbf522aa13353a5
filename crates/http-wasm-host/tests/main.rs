//! All tests in one program: linking Wasmtime takes longer than they do.

mod common;

mod addresses;
mod admin;
mod bodies;
mod calls;
mod headers;
mod hostile;
mod load;
mod request;
mod snapshot;
mod start;
mod status;
