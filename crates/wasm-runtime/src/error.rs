//! Why a module cannot be had. Each error displays as one line.

use thiserror::Error as ThisError;

/// Why bytes do not become a runnable module.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum Error {
    /// Neither the binary nor the text format.
    #[error("not a WebAssembly module")]
    NotWasm,
    /// A component, of the component model, instead of a module.
    #[error("a WebAssembly component, not a module")]
    Component,
    /// A module instead of a component.
    #[error("a WebAssembly module, not a component")]
    NotComponent,
    /// The text format with a mistake; tells line and column.
    #[error("invalid WebAssembly text: {0}")]
    Text(String),
    /// A binary that is cut off or breaks WebAssembly's rules; tells the offset.
    #[error("invalid WebAssembly module: {0}")]
    Invalid(String),
    /// The same of a component.
    #[error("invalid WebAssembly component: {0}")]
    InvalidComponent(String),
    /// A valid binary that uses an extension of WebAssembly which is not enabled.
    #[error("needs a WebAssembly feature that is not enabled: {0}")]
    Feature(String),
    /// The compiler gave up.
    #[error("compilation failed: {0}")]
    Compile(String),
    /// The compiled code cannot be stored or mapped.
    #[error("compiled code cannot be mapped: {0}")]
    Artifact(String),
    /// Instances cannot be started from a snapshot.
    #[error("cannot have an instance for each request: {0}")]
    Snapshot(String),
    /// The runtime cannot be set up on this machine.
    #[error("WebAssembly runtime cannot start: {0}")]
    Engine(String),
}

/// A binary that a parser stops at.
pub(crate) fn broken(error: wasmparser::BinaryReaderError) -> Error {
    Error::Invalid(error.to_string())
}

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
