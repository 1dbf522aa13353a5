//! All tests in one program: linking Wasmtime takes longer than they do.

mod common;

mod hello;
