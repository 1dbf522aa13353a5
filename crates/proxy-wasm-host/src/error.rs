//! Errors. Each displays as one line.

use std::fmt;

/// Why bytes are no usable Proxy-Wasm program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// Not WebAssembly, an unsupported feature, or a failure of the compiler.
    Runtime(wasm_runtime::Error),
    /// Imports that no Proxy-Wasm host defines, as `module.name`.
    UnknownImports(Vec<String>),
    /// A known import with another type: name, the module's type, the host's type.
    ImportType {
        name: String,
        module: String,
        host: String,
    },
    /// No `proxy_abi_version_*` export.
    NoAbi,
    /// Only a marker of a version that is unknown here.
    UnsupportedAbi(String),
    /// No memory is exported as `memory`.
    NoMemory,
    /// A callback, allocator or entry point with another type than the ABI's.
    ExportType {
        name: String,
        module: String,
        expected: String,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Runtime(error) => error.fmt(f),
            LoadError::UnknownImports(names) => write!(
                f,
                "imports {}, which this host does not provide",
                Name(&names.join(", "))
            ),
            LoadError::ImportType { name, module, host } => write!(
                f,
                "imports {name} as {module}, but this host provides it as {host}"
            ),
            LoadError::NoAbi => f.write_str(
                "not a Proxy-Wasm module: exports none of proxy_abi_version_0_1_0, \
                 proxy_abi_version_0_2_0 and proxy_abi_version_0_2_1",
            ),
            LoadError::UnsupportedAbi(marker) => write!(
                f,
                "exports {}, but this host supports the Proxy-Wasm ABI 0.1.0, 0.2.0 and 0.2.1",
                Name(marker)
            ),
            LoadError::NoMemory => f.write_str("exports no memory of the name \"memory\""),
            LoadError::ExportType {
                name,
                module,
                expected,
            } => write!(f, "exports {name} as {module} instead of {expected}"),
        }
    }
}

impl std::error::Error for LoadError {}

/// A name of the guest's choice, which must not break the line.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                fmt::Write::write_char(f, c)?;
            }
        }
        Ok(())
    }
}

impl From<wasm_runtime::Error> for LoadError {
    fn from(error: wasm_runtime::Error) -> LoadError {
        LoadError::Runtime(error)
    }
}

/// Why a program does not run, or a root context was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    Load(LoadError),
    /// Out of memory or address space, or a data segment that does not fit.
    Instantiate(String),
    /// `proxy_on_vm_start` or `proxy_on_configure` returned false.
    Refused {
        callback: &'static str,
    },
    /// An entry point or a callback trapped.
    Call(CallError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Load(error) => error.fmt(f),
            StartError::Instantiate(reason) => write!(f, "cannot be instantiated: {reason}"),
            StartError::Refused { callback } => {
                let what = if *callback == "proxy_on_configure" {
                    "its configuration"
                } else {
                    "to start"
                };
                write!(f, "refused {what} ({callback} returned false)")
            }
            StartError::Call(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl From<LoadError> for StartError {
    fn from(error: LoadError) -> StartError {
        StartError::Load(error)
    }
}

impl From<CallError> for StartError {
    fn from(error: CallError) -> StartError {
        StartError::Call(error)
    }
}

/// Why a callback did not return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The guest trapped; the VM is poisoned now.
    Trap {
        callback: &'static str,
        /// One line: the trap and the guest's frames, innermost first.
        reason: String,
    },
    /// An earlier call trapped: nothing more is called in this VM.
    Poisoned,
    /// No context has this id, or not one of this kind.
    UnknownContext,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Trap { callback, reason } => write!(f, "{callback} trapped: {reason}"),
            CallError::Poisoned => f.write_str("not called after an earlier trap"),
            CallError::UnknownContext => f.write_str("unknown context"),
        }
    }
}

impl std::error::Error for CallError {}
