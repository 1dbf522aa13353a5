//! Errors. Each displays as one line.

pub use guest_host::{LoadError, StartError};
use thiserror::Error;

/// Why a call into a guest has failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// The guest trapped, or did what the ABI forbids; nothing more is called in it.
    #[error("{function} trapped: {reason}")]
    Trap {
        function: &'static str,
        /// One line: the trap and the guest's frames, innermost first.
        reason: String,
    },
    /// An earlier call trapped.
    #[error("not called after an earlier trap")]
    Poisoned,
    /// There is no request that waits for this call.
    #[error("not called without a request")]
    NoRequest,
}

/// What the ABI forbids: the call that does it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Misuse {
    #[error("misuse: no request is being served")]
    NoRequest,
    #[error("misuse: {0} is changed after the next handler")]
    Late(&'static str),
    #[error("misuse: {0} is used after the next handler, without the feature {1}")]
    LateWithout(&'static str, &'static str),
    #[error("misuse: a header's name is empty")]
    EmptyName,
    #[error("misuse: the method is empty")]
    EmptyMethod,
    #[error("misuse: the method cannot be sent")]
    Method,
    #[error("misuse: the URI is not an absolute path with an optional query")]
    Uri,
    #[error("misuse: a body is read with a limit of 0 bytes")]
    NoLimit,
    #[error("misuse: there is no kind {0} of headers")]
    HeaderKind(u32),
    #[error("misuse: there is no kind {0} of bodies")]
    BodyKind(u32),
    #[error("misuse: the status {0} cannot be sent")]
    Status(u32),
    #[error("the body cannot be read")]
    Unreadable,
}
