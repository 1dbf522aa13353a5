//! The bytes of a module: their format, and what is wrong with them.

use std::borrow::Cow;

use wasmparser::{Validator, WasmFeatures};

use crate::error::{Error, one_line, push_words};

/// The binary format of a module, converted from the text format if need be.
pub(crate) fn binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    let binary = any_binary(bytes)?;
    // Version 1 is a module, layer 1 of any version a component.
    match binary.get(4..8) {
        Some([_, _, 1, 0]) => Err(Error::Component),
        _ => Ok(binary),
    }
}

/// The same of a module or a component.
pub(crate) fn any_binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    if bytes.starts_with(b"\0asm") {
        return Ok(Cow::Borrowed(bytes));
    }
    match wat::Detect::from_bytes(bytes) {
        wat::Detect::WasmText => {
            let binary = wat::parse_bytes(bytes).map_err(|e| Error::Text(text_error(&e)))?;
            Ok(binary)
        }
        _ => Err(Error::NotWasm),
    }
}

/// `wat` quotes the source in further lines: the message and the position stay.
fn text_error(error: &wat::Error) -> String {
    let message = error.to_string();
    let mut lines = message.lines();
    let mut line = String::new();
    push_words(&mut line, lines.next().unwrap_or_default());
    if let Some(position) = lines
        .next()
        .and_then(|l| l.trim().strip_prefix("--> <anon>:"))
    {
        line.push_str(" at ");
        push_words(&mut line, position);
    }
    line
}

/// A module that would be valid with every extension of WebAssembly needs one that is off.
pub(crate) fn invalid(error: &wasmtime::Error, binary: &[u8]) -> Error {
    let line = one_line(error);
    match Validator::new_with_features(WasmFeatures::all()).validate_all(binary) {
        Ok(_) => Error::Feature(line),
        Err(_) => Error::Invalid(line),
    }
}
