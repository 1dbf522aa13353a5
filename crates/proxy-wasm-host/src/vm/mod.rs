//! One instance of a program with its contexts.

mod calls;
mod contexts;
mod guest;
mod instance;
mod roots;
mod snapshot;
mod streams;

pub use instance::Vm;
pub use snapshot::Snapshot;
