//! A guest's trap, told in one line.

use wasmtime::{FrameInfo, WasmBacktrace};

use crate::error::push_words;

/// Longest name of a function that is told whole, in bytes; Rust's can fill pages.
const MAX_NAME: usize = 128;

/// The name of a module that the host calls the guest through. That it stands behind a guest's frames is not told.
pub const BETWEEN: &str = "proxy-wasm-host";

/// Why a call into a guest failed: the cause, then the guest's frames, innermost first, joined
/// by `<`.
pub fn trap_reason(error: &wasmtime::Error) -> String {
    let mut line = String::new();
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    // The backtrace is one of the causes, and would display as many lines.
    let shown = backtrace.map(|b| b.to_string());
    for cause in error.chain() {
        let cause = cause.to_string();
        if Some(&cause) == shown.as_ref() {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        push_words(&mut line, &cause);
    }
    let frames = backtrace.map_or(&[][..], WasmBacktrace::frames);
    let frames = match frames {
        [guest @ .., last] if last.module().name() == Some(BETWEEN) => guest,
        all => all,
    };
    for (i, frame) in frames.iter().enumerate() {
        line.push_str(if i == 0 { " in " } else { " < " });
        push_words(&mut line, &name(frame));
    }
    line
}

fn name(frame: &FrameInfo) -> String {
    let Some(mangled) = frame.func_name() else {
        return format!("function {}", frame.func_index());
    };
    let mut name = match rustc_demangle::try_demangle(mangled) {
        // Without the hash.
        Ok(rust) => format!("{rust:#}"),
        // Without the prefix, the demangler takes "f" for the type float.
        Err(_) => mangled
            .starts_with("_Z")
            .then(|| cpp_demangle::Symbol::new(mangled).ok())
            .flatten()
            .and_then(|symbol| symbol.demangle().ok())
            .unwrap_or_else(|| mangled.to_owned()),
    };
    if name.len() > MAX_NAME {
        let end = (0..=MAX_NAME).rev().find(|i| name.is_char_boundary(*i));
        name.truncate(end.unwrap_or(0));
        name.push('…');
    }
    name
}
