//! The request header map: `r->headers_in` and the request line.

pub mod fields;
pub mod lines;

use ngx::ffi::{
    NGX_HTTP_CONNECT, NGX_HTTP_COPY, NGX_HTTP_DELETE, NGX_HTTP_GET, NGX_HTTP_HEAD, NGX_HTTP_LOCK,
    NGX_HTTP_MKCOL, NGX_HTTP_MOVE, NGX_HTTP_OPTIONS, NGX_HTTP_PATCH, NGX_HTTP_POST,
    NGX_HTTP_PROPFIND, NGX_HTTP_PROPPATCH, NGX_HTTP_PUT, NGX_HTTP_TRACE, NGX_HTTP_UNKNOWN,
    NGX_HTTP_UNLOCK,
};
use proxy_wasm_host::Status;

use crate::message::headers::request::lines::{
    Lines, NO_MEMORY, OwnLines, append, is_named, list, set,
};
use crate::message::headers::{
    Visit, check_line, check_value, host_name, is_host, visit_lower, without_blanks,
};
use crate::nginx::request::Request;
use crate::nginx::{pool, table, uri};

const PSEUDO: [&[u8]; 4] = [b":authority", b":path", b":method", b":scheme"];

/// Visits the pseudo-headers, then all lines but `host`.
pub fn visit(request: Request, visit: Visit<'_>) {
    for name in PSEUDO {
        pseudo(request, name, &mut |value| visit(name, value));
    }
    // SAFETY: the list belongs to the live request; visiting does not change it.
    unsafe {
        for line in table::iter(list(request)) {
            let key = table::key(line);
            if !key.eq_ignore_ascii_case(b"host") {
                visit_lower(key, table::value(line), visit);
            }
        }
    }
}

/// How many [`visit`] visits.
pub fn count(request: Request) -> usize {
    // SAFETY: as in `visit`.
    unsafe {
        let headers = &raw const (*request.as_ptr()).headers_in;
        let authority = !(*headers).host.is_null() || (*headers).server.len > 0;
        let lines = table::iter(list(request));
        let others = lines.filter(|line| !table::key(*line).eq_ignore_ascii_case(b"host"));
        PSEUDO.len() - usize::from(!authority) + others.count()
    }
}

/// Passes the first value of `name` on; `false` when there is none.
pub fn get(request: Request, name: &[u8], found: &mut dyn FnMut(&[u8])) -> bool {
    if name.first() == Some(&b':') {
        let mut all = PSEUDO.iter();
        let known = all.find(|known| known.eq_ignore_ascii_case(name));
        return known.is_some_and(|name| pseudo(request, name, found));
    }
    // SAFETY: as in `visit`.
    let line =
        unsafe { table::iter(list(request)).find(|l| table::key(*l).eq_ignore_ascii_case(name)) };
    match line {
        Some(line) => {
            // SAFETY: found in the list just now.
            found(unsafe { table::value(line) });
            true
        }
        None => false,
    }
}

/// Passes all values of `name` on, which is no pseudo-header.
pub fn values(request: Request, name: &[u8], found: &mut dyn FnMut(&[u8])) {
    // SAFETY: as in `visit`.
    unsafe {
        let lines = table::iter(list(request));
        for line in lines.filter(|line| table::key(*line).eq_ignore_ascii_case(name)) {
            found(table::value(line));
        }
    }
}

fn pseudo(request: Request, name: &[u8], found: &mut dyn FnMut(&[u8])) -> bool {
    // SAFETY: the request and its strings are live.
    unsafe {
        let r = request.as_ptr();
        match name {
            // The client's own Host line, with its port and case, not the name of the server.
            b":authority" => {
                let host = (*r).headers_in.host.as_ref();
                match host
                    .map(|host| host.value.as_bytes())
                    .or(request.authority())
                {
                    Some(authority) => found(authority),
                    None if (*r).headers_in.server.len > 0 => {
                        found((*r).headers_in.server.as_bytes())
                    }
                    None => return false,
                }
            }
            b":path" => found(&uri::target(request)),
            b":method" => found((*r).method_name.as_bytes()),
            b":scheme" => found(if request.is_tls() { b"https" } else { b"http" }),
            _ => return false,
        }
    }
    true
}

/// Appends a line; a pseudo-header and `host` are set.
pub fn add(request: Request, own: &OwnLines, name: &[u8], value: &[u8]) -> Result<(), Status> {
    if is_request_line(name) {
        return set_request_line(request, own, name, value);
    }
    let value = check_line(name, value)?;
    match is_of_connection(name) {
        true => Ok(()),
        false => append(request, own, name, value),
    }
}

/// Leaves one line of this name, with this value.
pub fn replace(request: Request, own: &OwnLines, name: &[u8], value: &[u8]) -> Result<(), Status> {
    if is_request_line(name) {
        return set_request_line(request, own, name, value);
    }
    let value = check_line(name, value)?;
    match is_of_connection(name) {
        true => Ok(()),
        false => set(request, own, name, name, value),
    }
}

/// Drops all lines of this name. Pseudo-headers cannot be missing, and stay.
pub fn remove(request: Request, own: &OwnLines, name: &[u8]) -> Result<(), Status> {
    if name.first() == Some(&b':') {
        return Ok(());
    }
    let mut lines = Lines::of(request);
    match lines.remove_from(name, 0) {
        true => lines.store(request, own),
        false => Ok(()),
    }
}

/// Replaces the whole map; pseudo-headers that are not among the pairs keep their values.
pub fn set_pairs(request: Request, own: &OwnLines, pairs: &[(&[u8], &[u8])]) -> Result<(), Status> {
    for (name, value) in pairs {
        match is_request_line(name) {
            true => check_request_line(request, name, value)?,
            false => check_line(name, value).map(drop)?,
        }
    }
    // A target that cannot be parsed is found out only by setting it: that goes first, so that a
    // refused map changes nothing.
    let (target, others): (Vec<_>, Vec<_>) = pairs
        .iter()
        .filter(|(name, _)| is_request_line(name))
        .partition(|(name, _)| name.eq_ignore_ascii_case(b":path"));
    for (name, value) in target {
        set_request_line(request, own, name, value)?;
    }
    let mut lines = Lines::of(request);
    lines.0.retain(|line| is_named(line, b"host"));
    let line = |name: &[u8]| !is_request_line(name) && !is_of_connection(name);
    for (name, value) in pairs.iter().filter(|(name, _)| line(name)) {
        lines.push(request, name, without_blanks(value))?;
    }
    lines.store(request, own)?;
    for (name, value) in others {
        set_request_line(request, own, name, value)?;
    }
    Ok(())
}

/// Sets the body's length, after a filter has changed the body or the `content-length` line, so
/// that what is proxied is framed right.
pub fn set_body_length(request: Request, own: &OwnLines, length: u64) -> Result<(), Status> {
    let text = length.to_string();
    replace(request, own, b"content-length", text.as_bytes())?;
    // SAFETY: the request is live; the body is complete, so no chunk is left to decode.
    unsafe {
        (*request.as_ptr()).headers_in.content_length_n = length as _;
        (*request.as_ptr()).headers_in.set_chunked(0);
    }
    remove(request, own, b"transfer-encoding")
}

fn is_request_line(name: &[u8]) -> bool {
    name.first() == Some(&b':') || name.eq_ignore_ascii_case(b"host")
}

/// What is about a connection that nginx makes, and nginx would pass on: in HTTP/2, to a gRPC server say, it is an
/// error (RFC 9113, section 8.2.2).
fn is_of_connection(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"proxy-connection")
}

/// Is it a pseudo-header, with a value that it can have?
fn check_request_line(request: Request, name: &[u8], value: &[u8]) -> Result<(), Status> {
    check_value(value)?;
    let valid = match name.to_ascii_lowercase().as_slice() {
        b":scheme" => true,
        b":authority" | b"host" => is_host(value),
        // The configuration may have made one that a client cannot send.
        b":path" => uri::is_target(value) || *value == *uri::target(request),
        b":method" => is_method(value),
        _ => false,
    };
    match valid {
        true => Ok(()),
        false => Err(Status::BadArgument),
    }
}

fn is_method(value: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_uppercase() || b"-_".contains(b);
    !value.is_empty() && value.iter().all(allowed)
}

fn set_request_line(
    request: Request,
    own: &OwnLines,
    name: &[u8],
    value: &[u8],
) -> Result<(), Status> {
    check_request_line(request, name, value)?;
    match name.to_ascii_lowercase().as_slice() {
        b":authority" | b"host" => set_authority(request, own, value),
        b":path" => match uri::set_target(request, value) {
            true => Ok(()),
            false => Err(Status::BadArgument),
        },
        b":method" => set_method(request, value),
        // Whether the client's connection uses TLS is a fact; the upstream's scheme is
        // `proxy_pass`'s.
        b":scheme" => Ok(()),
        _ => Err(Status::BadArgument),
    }
}

/// Sets the Host line and `$host` (which has neither port nor upper case); the server block that
/// was chosen by the old one stays.
fn set_authority(request: Request, own: &OwnLines, value: &[u8]) -> Result<(), Status> {
    set(request, own, b"host", b"Host", value)?;
    let name = host_name(value);
    let name = name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase();
    // SAFETY: the request is live; the body is complete, so no chunk is left to decode.
    unsafe {
        (*request.as_ptr()).headers_in.server =
            pool::copy(request.pool(), &name).ok_or(NO_MEMORY)?;
    }
    Ok(())
}

fn set_method(request: Request, value: &[u8]) -> Result<(), Status> {
    let method = match value {
        b"GET" => NGX_HTTP_GET,
        b"HEAD" => NGX_HTTP_HEAD,
        b"POST" => NGX_HTTP_POST,
        b"PUT" => NGX_HTTP_PUT,
        b"DELETE" => NGX_HTTP_DELETE,
        b"MKCOL" => NGX_HTTP_MKCOL,
        b"COPY" => NGX_HTTP_COPY,
        b"MOVE" => NGX_HTTP_MOVE,
        b"OPTIONS" => NGX_HTTP_OPTIONS,
        b"PROPFIND" => NGX_HTTP_PROPFIND,
        b"PROPPATCH" => NGX_HTTP_PROPPATCH,
        b"LOCK" => NGX_HTTP_LOCK,
        b"UNLOCK" => NGX_HTTP_UNLOCK,
        b"PATCH" => NGX_HTTP_PATCH,
        b"TRACE" => NGX_HTTP_TRACE,
        b"CONNECT" => NGX_HTTP_CONNECT,
        _ => NGX_HTTP_UNKNOWN,
    } as usize;
    // SAFETY: the request is live.
    unsafe {
        let r = request.as_ptr();
        (*r).method_name = pool::copy(request.pool(), value).ok_or(NO_MEMORY)?;
        // Whether the client gets a body is settled by what it sent: `method` keeps HEAD or not
        // HEAD, while `method_name` is what an upstream gets.
        let head = NGX_HTTP_HEAD as usize;
        if ((*r).method == head) == (method == head) {
            (*r).method = method;
        }
    }
    Ok(())
}
