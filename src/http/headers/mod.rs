//! Header maps: nginx's header lists and the fields it keeps apart from them, as one map with
//! lower-case names and Proxy-Wasm's pseudo-headers.

pub mod request;
pub mod response;

use proxy_wasm_host::Status;

/// Passes a name and a value of a header line on.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]);

/// Calls `visit` with the name in lower case.
fn visit_lower(name: &[u8], value: &[u8], visit: Visit<'_>) {
    if !name.iter().any(u8::is_ascii_uppercase) {
        return visit(name, value);
    }
    let mut short = [0u8; 64];
    match short.get_mut(..name.len()) {
        Some(lower) => {
            lower.copy_from_slice(name);
            lower.make_ascii_lowercase();
            visit(lower, value);
        }
        None => visit(&name.to_ascii_lowercase(), value),
    }
}

/// The value of a line that a guest may set, without blanks around it, which HTTP/2 forbids (RFC 9113, section 8.2.1) and
/// HTTP/1 takes for none of it. A name is a token of RFC 9110, a value has no line break and no NUL: nothing else must
/// reach the wire.
fn check_line<'a>(name: &[u8], value: &'a [u8]) -> Result<&'a [u8], Status> {
    if name.is_empty() || !name.iter().all(|b| TOKEN[usize::from(*b)]) {
        return Err(Status::BadArgument);
    }
    check_value(value)?;
    Ok(without_blanks(value))
}

/// The bytes that a token may have.
const TOKEN: [bool; 256] = {
    let mut token = [false; 256];
    let others = b"!#$%&'*+-.^_`|~";
    let mut i = 0;
    while i < others.len() {
        token[others[i] as usize] = true;
        i += 1;
    }
    let mut byte = 0;
    while byte < 128 {
        token[byte] |= (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    token
};

fn without_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn check_value(value: &[u8]) -> Result<(), Status> {
    match value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        true => Err(Status::BadArgument),
        false => Ok(()),
    }
}
