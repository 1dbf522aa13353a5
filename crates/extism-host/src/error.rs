//! Errors. Each displays as one line.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use guest_host::{InterfaceError, Name};
use thiserror::Error;

/// Why a text is no usable manifest.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// No JSON, an unknown field, or a value of another type.
    #[error("not an Extism manifest: {0}")]
    Json(String),
    #[error("the manifest names no module")]
    NoModules,
    /// By number, from 1 on.
    #[error("module {0} has neither \"path\" nor \"data\"")]
    NoSource(usize),
    #[error("module {0} has both \"path\" and \"data\"")]
    TwoSources(usize),
    #[error(
        "module {0} has \"url\": modules are not fetched; save it to a file, and give its \"path\""
    )]
    Url(usize),
    #[error("\"data\" of module {0} is not base64: {1}")]
    Base64(usize, base64::DecodeError),
    #[error("there are two modules of the name {name}", name = Name(.0))]
    SameName(String),
    #[error("a module has the name {name}, which is the host's", name = Name(.0))]
    ReservedName(String),
    #[error("\"hash\" of module {0} is not a SHA-256 in lower-case hexadecimal")]
    Hash(usize),
    #[error("\"allowed_hosts\": {pattern} is no pattern: {reason}", pattern = Name(.pattern))]
    Host {
        pattern: String,
        reason: &'static str,
    },
}

/// Why modules are no usable plugin.
#[derive(Debug, Error)]
pub enum LoadError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("{path}: {error}", path = .path.display())]
    Read { path: PathBuf, error: io::Error },
    /// What is wrong with one of several modules.
    #[error("module {name}: {error}", name = Name(.name))]
    Module { name: String, error: Box<LoadError> },
    #[error("its SHA-256 is {found}, and not {expected} as the manifest says")]
    HashMismatch { found: String, expected: String },
    #[error(transparent)]
    Runtime(#[from] wasm_runtime::Error),
    /// Nothing of it could be called.
    #[error("exports no function of the type () -> i32 or () -> ()")]
    NoFunction,
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// The module of an import exists, but does not export it.
    #[error("imports {name}, which that module does not export", name = Name(.0))]
    MissingExport(String),
    #[error("the modules import each other in a circle: {names}", names = Name(.0))]
    Circle(String),
    #[error("\"allowed_paths\" is not supported: guests have no files")]
    AllowedPaths,
}

/// Why an instance did not start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Out of memory or address space, or a data segment that does not fit.
    #[error("cannot be instantiated: {0}")]
    Instantiate(String),
    /// A start section or an initialization function trapped.
    #[error("{function} trapped: {reason}")]
    Trap {
        function: &'static str,
        reason: String,
    },
    /// An earlier call trapped, or was dropped: nothing more is called in this instance.
    #[error("not started after an earlier trap")]
    Poisoned,
    /// It was to start at once.
    #[error("waits in its start")]
    Waits,
}

/// Why a call failed, or may have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// The guest has set an error; and has trapped afterwards, perhaps.
    #[error("{message}")]
    Message {
        message: String,
        trap: Option<String>,
    },
    /// One line: the trap and the guest's frames, innermost first.
    #[error("{0}")]
    Trap(String),
    /// The call took longer than the manifest allows, or more processor time than the limits do.
    #[error("timeout: {0}")]
    Timeout(String),
    /// A memory was to grow beyond what the manifest allows.
    #[error("{0}")]
    OutOfMemory(String),
    /// A host function did not do what it was called for, and ended the call: the reason, and the guest's frames.
    #[error("{0}")]
    Refused(String),
    /// The guest has called `proc_exit` with this code.
    #[error("the guest has exited with code {0}")]
    Exited(i32),
    /// There is no such export.
    #[error("Function not found: {name}", name = Name(.0))]
    NotFound(String),
    /// It has parameters, or other results than one i32 or none: its name and its type.
    #[error("{name} is of the type {ty}, and cannot be called: only () -> i32 and () -> () can", name = Name(.name))]
    NotCallable { name: String, ty: String },
    /// The instance did not start.
    #[error("{0}")]
    Start(String),
    /// The input could not be had.
    #[error("input: {0}")]
    Input(String),
    /// The input is larger than the kernel's memory may be.
    #[error("no memory for an input of {0} bytes")]
    InputSize(usize),
    /// An earlier call trapped, or was dropped: nothing more is called in this instance.
    #[error("not called after an earlier trap")]
    Poisoned,
    /// The guest waits, and the call was one that does not.
    #[error("the guest waits, and the call does not")]
    Waits,
}

impl Failure {
    /// Why the guest did not come to its end, if it did not: a trap, a limit, a host function, or an exit.
    pub fn trap(&self) -> Option<Cow<'_, str>> {
        match self {
            Failure::Message { trap, .. } => trap.as_deref().map(Cow::from),
            Failure::Trap(reason) | Failure::Timeout(reason) | Failure::OutOfMemory(reason) => {
                Some(reason.into())
            }
            Failure::Refused(reason) => Some(format!("refused: {reason}").into()),
            Failure::Exited(code) => Some(format!("proc_exit({code})").into()),
            _ => None,
        }
    }
}

/// Why a host function ends the call; the guest is not told.
#[derive(Debug, Error)]
pub enum Refusal {
    #[error("no memory is left for a result")]
    NoMemory,
    /// What it was to be, and the offset.
    #[error("there is no block at offset {1} for {0}")]
    Handle(&'static str, u64),
    #[error("{0} is not UTF-8")]
    Utf8(&'static str),
    #[error("Variable store is full")]
    VarsFull,
    #[error("Vars are disabled by this host")]
    VarsDisabled,
    #[error("vars: {0}")]
    Vars(guest_host::ServiceError),
    #[error("http_request is not allowed")]
    HttpDenied,
    #[error("HTTP request is not JSON as it should be: {0}")]
    HttpJson(String),
    #[error("HTTP request to {0} is not allowed")]
    HttpHost(String),
    #[error("HTTP request: {0}")]
    Http(String),
    #[error("HTTP response exceeds the configured maximum number of bytes: {0}")]
    HttpTooLarge(u64),
}
