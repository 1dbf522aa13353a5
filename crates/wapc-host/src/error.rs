//! Errors. Each displays as one line.

use guest_host::{CallFailure, Name};
pub use guest_host::{LoadError, StartError};
use thiserror::Error;

/// Why a call has no response.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// The guest's own text, which may be of several lines; what is no UTF-8 in it is replaced.
    #[error("{}", Name(.0))]
    Guest(String),
    /// The guest has failed, and said nothing.
    #[error("the guest failed without a message")]
    NoMessage,
    /// The guest has succeeded, and set no response.
    #[error("the guest succeeded without a response")]
    NoResponse,
    /// The operation or the message is larger than a guest's memory can be.
    #[error("the message has 4 GiB or more")]
    TooLarge,
    /// The guest trapped; the plugin is poisoned now.
    #[error("trapped: {0}")]
    Trap(String),
    /// An earlier call trapped: nothing more is called in this plugin.
    #[error("not called after an earlier trap")]
    Poisoned,
}

impl From<CallFailure> for CallError {
    fn from(failure: CallFailure) -> CallError {
        match failure {
            CallFailure::Trap(reason) => CallError::Trap(reason),
            CallFailure::Poisoned => CallError::Poisoned,
        }
    }
}
