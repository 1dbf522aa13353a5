//! Errors. Each displays as one line.

use guest_host::InterfaceError;
use thiserror::Error;

/// Why bytes are no usable http-wasm guest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// Not WebAssembly, an unsupported feature, or a failure of the compiler.
    #[error(transparent)]
    Runtime(#[from] wasm_runtime::Error),
    /// Imports or exports that do not fit this host.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// One of the two functions that a guest is called by is not exported.
    #[error("not an http-wasm guest: exports no {0}")]
    NoHandler(&'static str),
}

/// Why a guest does not start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StartError {
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Out of memory or address space, or a data segment that does not fit; or the start section trapped.
    #[error("cannot be instantiated: {0}")]
    Instantiate(String),
    /// A start function trapped, or exited with a code other than 0.
    #[error("{function} trapped: {reason}")]
    Trap {
        function: &'static str,
        /// One line: the trap and the guest's frames, innermost first.
        reason: String,
    },
    /// A snapshot was to be taken of a guest that has trapped.
    #[error("not started after an earlier trap")]
    Poisoned,
}

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
