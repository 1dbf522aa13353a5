//! Why a module cannot be had. Each error displays as one line.

use std::fmt;

/// Why bytes do not become a runnable module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Neither the binary nor the text format.
    NotWasm,
    /// A component, of the component model, instead of a module.
    Component,
    /// The text format with a mistake; tells line and column.
    Text(String),
    /// A binary that is cut off or breaks WebAssembly's rules; tells the offset.
    Invalid(String),
    /// A valid binary that uses an extension of WebAssembly which is not enabled.
    Feature(String),
    /// The compiler gave up.
    Compile(String),
    /// The compiled code cannot be stored or mapped.
    Artifact(String),
    /// Instances cannot be started from a snapshot.
    Snapshot(String),
    /// The runtime cannot be set up on this machine.
    Engine(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotWasm => f.write_str("not a WebAssembly module"),
            Error::Component => f.write_str("a WebAssembly component, not a module"),
            Error::Text(reason) => write!(f, "invalid WebAssembly text: {reason}"),
            Error::Invalid(reason) => write!(f, "invalid WebAssembly module: {reason}"),
            Error::Feature(reason) => {
                write!(
                    f,
                    "needs a WebAssembly feature that is not enabled: {reason}"
                )
            }
            Error::Compile(reason) => write!(f, "compilation failed: {reason}"),
            Error::Artifact(reason) => write!(f, "compiled code cannot be mapped: {reason}"),
            Error::Snapshot(reason) => {
                write!(f, "cannot have an instance for each request: {reason}")
            }
            Error::Engine(reason) => write!(f, "WebAssembly runtime cannot start: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

/// An error with all of its causes, as one line.
pub fn one_line(error: &wasmtime::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        if !line.is_empty() {
            line.push_str(": ");
        }
        push_words(&mut line, &cause.to_string());
    }
    line
}

/// Appends `text` with every run of white space and control characters made one space.
pub(crate) fn push_words(line: &mut String, text: &str) {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    for (i, word) in words.filter(|w| !w.is_empty()).enumerate() {
        if i > 0 {
            line.push(' ');
        }
        line.push_str(word);
    }
}
