//! wasi:http 0.3: how a request runs in it.

mod response;
mod run;

pub(crate) use response::define as define_types;
pub(crate) use run::{Handle, Linked, ended, run};

/// The interfaces as the linker knows them; guests may import any 0.3 of them.
pub(crate) const TYPES: &str = "wasi:http/types@0.3.0";
