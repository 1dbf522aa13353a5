//! Header maps: nginx's header lists and the fields it keeps apart from them, as one map with
//! lower-case names and Proxy-Wasm's pseudo-headers.

pub mod request;
pub mod response;
pub mod sendable;

use crate::message::headers::sendable::{
    check_line, check_value, host_name, is_host, without_blanks,
};

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
