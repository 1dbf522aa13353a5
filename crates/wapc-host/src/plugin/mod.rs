//! An instance of a program.

mod instance;
mod snapshot;

pub use instance::Plugin;
pub use snapshot::Snapshot;
