//! Instances that start with the state of another one. Nearly all unsafe code of this crate is here.

mod image;
pub(crate) mod memory;
mod pagemap;
pub(crate) mod rewrite;
mod slot;
pub(crate) mod state;

pub use slot::clear;
pub use state::{Initial, Rewind, Snapshot};
