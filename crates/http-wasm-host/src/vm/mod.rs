//! An instance of a program.

mod instance;
mod snapshot;

pub use instance::{Next, Vm};
pub use snapshot::Snapshot;
