//! wasi:http 0.2: what differs from wasmtime-wasi-http, which needs a runtime of Tokio for some of it.

mod body;
mod outgoing;
mod response;
mod run;

pub(crate) use body::{BUDGET, OutgoingBodies};
pub(crate) use outgoing::define as define_outgoing;
pub(crate) use response::define as define_types;
pub(crate) use run::{Handle, run};

/// The interfaces as the linker knows them; guests may import any 0.2 of them.
pub(crate) const TYPES: &str = "wasi:http/types@0.2.12";
pub(crate) const OUTGOING: &str = "wasi:http/outgoing-handler@0.2.12";
