//! Errors. Each displays as one line.

use thiserror::Error;

use crate::interface::InterfaceError;

/// Why bytes are no usable guest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// Not WebAssembly, an unsupported feature, or a failure of the compiler.
    #[error(transparent)]
    Runtime(#[from] wasm_runtime::Error),
    /// Imports or exports that do not fit this host.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// A function that guests of this kind are called by is not exported.
    #[error("not {kind}: exports no {function}")]
    NoFunction {
        /// With its article, as in `a waPC guest`.
        kind: &'static str,
        function: &'static str,
    },
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

impl From<wasm_runtime::Error> for StartError {
    fn from(error: wasm_runtime::Error) -> StartError {
        StartError::Load(error.into())
    }
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// The guest trapped: one line, the trap and the guest's frames, innermost first. Nothing more is called in it.
    Trap(String),
    /// An earlier call trapped.
    Poisoned,
}
