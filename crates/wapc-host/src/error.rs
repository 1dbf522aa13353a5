//! Errors. Each displays as one line.

use guest_host::{InterfaceError, Name};
use thiserror::Error;

/// Why bytes are no usable waPC guest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// Not WebAssembly, an unsupported feature, or a failure of the compiler.
    #[error(transparent)]
    Runtime(#[from] wasm_runtime::Error),
    /// Imports or exports that do not fit this host.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// Nothing is exported that could be called.
    #[error("not a waPC guest: exports no __guest_call")]
    NoGuestCall,
}

/// Why a plugin does not start.
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
    /// A snapshot was to be taken of a plugin that has trapped.
    #[error("not started after an earlier trap")]
    Poisoned,
}

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
