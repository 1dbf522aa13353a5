//! The imports of a guest: those of the module `http_handler`, WASI, and what AssemblyScript's guests import.

mod admin;
mod bodies;
mod define;
mod headers;
mod memory;
mod request;
mod status;

pub(crate) use define::{HTTP_HANDLER, define};
