//! What differs from wasmtime-wasi.

mod clocks;
mod files;

pub(crate) use clocks::define as define_clocks;
pub(crate) use files::define as define_files;
