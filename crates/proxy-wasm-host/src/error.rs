//! Errors. Each displays as one line.

use guest_host::{InterfaceError, Name};
use thiserror::Error;

/// Why bytes are no usable Proxy-Wasm program.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// Not WebAssembly, an unsupported feature, or a failure of the compiler.
    #[error(transparent)]
    Runtime(#[from] wasm_runtime::Error),
    /// Imports or exports that do not fit this host.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// No `proxy_abi_version_*` export.
    #[error(
        "not a Proxy-Wasm module: exports none of proxy_abi_version_0_1_0, proxy_abi_version_0_2_0, \
         proxy_abi_version_0_2_1 and proxy_abi_version_0_2_100"
    )]
    NoAbi,
    /// Only a marker of a version that is unknown here.
    #[error("exports {}, but this host supports the Proxy-Wasm ABI 0.1.0, 0.2.0, 0.2.1 and 0.2.100", Name(.0))]
    UnsupportedAbi(String),
}

/// Why a program does not run, or a root context was not made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StartError {
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Out of memory or address space, or a data segment that does not fit.
    #[error("cannot be instantiated: {0}")]
    Instantiate(String),
    /// `proxy_on_vm_start` or `proxy_on_configure` returned false.
    #[error("refused {what} ({callback} returned false)", what = refused(callback))]
    Refused { callback: &'static str },
    /// An entry point or a callback trapped.
    #[error(transparent)]
    Call(#[from] CallError),
}

fn refused(callback: &str) -> &'static str {
    match callback {
        "proxy_on_configure" => "its configuration",
        _ => "to start",
    }
}

/// Why a callback did not return.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// The guest trapped; the VM is poisoned now.
    #[error("{callback} trapped: {reason}")]
    Trap {
        callback: &'static str,
        /// One line: the trap and the guest's frames, innermost first.
        reason: String,
    },
    /// An earlier call trapped: nothing more is called in this VM.
    #[error("not called after an earlier trap")]
    Poisoned,
    /// No context has this id, or not one of this kind.
    #[error("unknown context")]
    UnknownContext,
    /// The guest has asked for the end of the stream as it was told of its context, and is not told more.
    #[error("the stream has ended as its context was created")]
    EndedAtCreation,
}
