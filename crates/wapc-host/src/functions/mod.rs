//! The imports of a guest: those of the module `wapc`, WASI, and what AssemblyScript's guests import.

mod define;
mod guest;
mod host;

pub(crate) use define::{WAPC, define};
