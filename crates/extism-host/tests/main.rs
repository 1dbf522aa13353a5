//! All tests in one program: linking Wasmtime takes longer than they do. Those that measure the process are another one.

mod common;

mod env;
mod hostile;
mod http;
mod isolation;
mod kernel;
mod manifest;
mod pdk;
mod results;
mod start;
mod user;
