//! An instance of a guest that is one module: its start, its calls, its way back to the state after the start.

mod code;
mod error;
mod instance;
mod snapshot;

pub use code::Code;
pub use error::{CallFailure, LoadError, StartError};
pub use instance::{Guest, GuestState};
pub use snapshot::Snapshot;
