//! Which bytes of a guest's may stand in a message, byte by byte (RFC 9110, section 5). What must not is
//! found where it is written, so that nothing else has to look for it.

use std::borrow::Cow;

use percent_encoding::percent_encode_byte;
use proxy_wasm_host::Status;

/// The value of a line that a guest may set, without blanks around it, which HTTP/2 forbids (RFC 9113, section 8.2.1) and
/// HTTP/1 takes for none of it. A name is a token of RFC 9110. `BadArgument`: it cannot be sent.
pub fn check_line<'a>(name: &[u8], value: &'a [u8]) -> Result<&'a [u8], Status> {
    if name.is_empty() || !name.iter().all(|b| TOKEN[usize::from(*b)]) {
        return Err(Status::BadArgument);
    }
    check_value(value)?;
    Ok(without_blanks(value))
}

/// A value has tabs, and no other control characters.
pub fn check_value(value: &[u8]) -> Result<(), Status> {
    match value.iter().all(|b| VALUE[usize::from(*b)]) {
        true => Ok(()),
        false => Err(Status::BadArgument),
    }
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

/// The bytes that a value may have: `field-vchar`, blank and tab.
const VALUE: [bool; 256] = {
    let mut value = [true; 256];
    let mut byte = 0;
    while byte < 0x20 {
        value[byte] = byte == b'\t' as usize;
        byte += 1;
    }
    value[0x7f] = false;
    value
};

pub fn without_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Does nginx take it for a host, with or without a port (`ngx_http_validate_host`)? It may become part
/// of a file's name (`$host`).
pub fn is_host(value: &[u8]) -> bool {
    let name = host_name(value);
    !matches!(name, [] | b".")
        && !value
            .iter()
            .any(|b| *b <= b' ' || matches!(*b, 0x7f | b'/'))
        && !value.windows(2).any(|two| two == b"..")
}

/// A host without its port.
pub fn host_name(value: &[u8]) -> &[u8] {
    let from = match value.first() {
        Some(b'[') => value.iter().position(|b| *b == b']').unwrap_or(0),
        _ => 0,
    };
    let colon = value[from..].iter().position(|b| *b == b':');
    &value[..colon.map_or(value.len(), |colon| from + colon)]
}

/// A guest's value as one of a variable of nginx's: configurations put variables into lines of every kind,
/// which no client can break by them. Control characters are written as `%NN`, and with `blanks` blanks
/// as well, which would end the target in a request line.
pub fn escape_for_variable(value: &[u8], blanks: bool) -> Cow<'_, [u8]> {
    let stays = |byte: u8| match byte {
        b' ' | b'\t' => !blanks,
        byte => VALUE[usize::from(byte)],
    };
    if value.iter().all(|byte| stays(*byte)) {
        return value.into();
    }
    let mut escaped = Vec::with_capacity(value.len() + 16);
    for &byte in value {
        match stays(byte) {
            true => escaped.push(byte),
            false => escaped.extend(percent_encode_byte(byte).bytes()),
        }
    }
    escaped.into()
}
