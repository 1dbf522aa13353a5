//! What differs from wasmtime-wasi.

mod clocks;

pub(crate) use clocks::define as define_clocks;
