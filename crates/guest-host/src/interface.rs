//! What is wrong with a module's imports and exports. Each error displays as one line.

use std::fmt;

use thiserror::Error;

/// Why a module does not fit its host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InterfaceError {
    /// Imports that the host does not define, as `module.name`.
    #[error("imports {names}, which this host does not provide", names = Name(&.0.join(", ")))]
    UnknownImports(Vec<String>),
    /// A known import with another type.
    #[error("imports {name} as {module}, but this host provides it as {host}")]
    ImportType {
        name: String,
        module: String,
        host: String,
    },
    /// No memory is exported as `memory`.
    #[error("exports no memory of the name \"memory\"")]
    NoMemory,
    /// An export with another type than the ABI's.
    #[error("exports {name} as {module} instead of {expected}")]
    ExportType {
        name: String,
        module: String,
        expected: String,
    },
}

/// A name of the guest's choice, displayed so that it does not break the line.
pub struct Name<'a>(pub &'a str);

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
