//! The response header map: `r->headers_out`, with the lines that nginx writes from fields of its
//! own (Server, Date, Content-Type, Content-Length, Last-Modified) or from the state of the
//! connection (Connection, Transfer-Encoding).

pub mod connection;
pub mod fields;
pub mod lines;
pub mod outside_list;
pub mod trailers;

use ngx::ffi::{ngx_list_t, ngx_parse_http_time};
use proxy_wasm_host::Status;

use crate::message::headers::response::connection::is_of_connection;
use crate::message::headers::response::fields::{field, offset, point, point_all};
use crate::message::headers::response::lines::{
    get_in_list, push, remove_in_list, replace_in_list, values_in_list, visit_list,
};
use crate::message::headers::response::outside_list::{
    OUTSIDE_LIST, OutsideList, is_outside_list, named, set_content_type, visit_outside_list,
};
use crate::message::headers::{Visit, check_line, without_blanks};
use crate::nginx::request::Request;
use crate::nginx::table;

/// Visits `:status`, the lines that nginx keeps apart, and those in its list.
pub fn visit(request: Request, visit: Visit<'_>) {
    visit(b":status", status(request).as_bytes());
    for (name, line) in OUTSIDE_LIST {
        visit_outside_list(request, line, &mut |value| visit(name, value));
    }
    visit_list(list(request), visit);
}

/// How many [`visit`] visits.
pub fn count(request: Request) -> usize {
    let apart = OUTSIDE_LIST
        .iter()
        .filter(|(_, line)| is_outside_list(request, *line));
    // SAFETY: as in `visit_list`.
    let lines = unsafe { table::iter(list(request)).filter(|line| (**line).hash != 0) };
    1 + apart.count() + lines.count()
}

/// Passes the first value of `name` on; `false` when there is none.
pub fn get(request: Request, name: &[u8], found: &mut dyn FnMut(&[u8])) -> bool {
    if name.eq_ignore_ascii_case(b":status") {
        found(status(request).as_bytes());
        return true;
    }
    let apart = named(name).is_some_and(|line| visit_outside_list(request, line, found));
    apart || get_in_list(list(request), name, found)
}

/// Passes all values of `name` on.
pub fn values(request: Request, name: &[u8], found: &mut dyn FnMut(&[u8])) {
    if let Some(line) = named(name) {
        visit_outside_list(request, line, found);
    }
    values_in_list(list(request), name, found);
}

/// Is there a line of this name, of which there can be one alone?
pub fn has_single(request: Request, name: &[u8]) -> bool {
    is_single(name) && get(request, name, &mut |_| {})
}

/// Appends a line. A line that can be there only once is set. `length` is the body's, in bytes, as far as it is
/// known: that is the one Content-Length that there can be. `BadArgument`: the line cannot be sent.
pub fn add(request: Request, length: Option<u64>, name: &[u8], value: &[u8]) -> Result<(), Status> {
    if is_single(name) {
        return replace(request, length, name, value);
    }
    let value = check_line(name, value)?;
    if is_of_connection(request, name) {
        return Ok(());
    }
    push(request, list(request), name, value)?;
    point(request, name);
    Ok(())
}

/// Leaves one line of this name, with this value; `length` as in [`add`].
pub fn replace(
    request: Request,
    length: Option<u64>,
    name: &[u8],
    value: &[u8],
) -> Result<(), Status> {
    if name.eq_ignore_ascii_case(b":status") {
        return set_status(request, value);
    }
    let value = check_line(name, value)?;
    if is_of_connection(request, name) {
        return Ok(());
    }
    // SAFETY: the request is live.
    let headers = unsafe { &raw mut (*request.as_ptr()).headers_out };
    match named(name) {
        Some(OutsideList::ContentType) => set_content_type(request, value),
        Some(OutsideList::ContentLength) => {
            request.set_response_length(length);
            Ok(())
        }
        Some(OutsideList::Connection) => {
            if value.eq_ignore_ascii_case(b"close") {
                // SAFETY: the request is live.
                unsafe { (*request.as_ptr()).set_keepalive(0) };
            }
            Ok(())
        }
        Some(OutsideList::TransferEncoding) => {
            request.set_response_length(None);
            Ok(())
        }
        Some(OutsideList::LastModified) => {
            // SAFETY: nginx's parser only reads the value.
            unsafe {
                (*headers).last_modified_time =
                    ngx_parse_http_time(value.as_ptr().cast_mut(), value.len());
            }
            replace_in_list(request, list(request), name, value)
        }
        Some(OutsideList::Server | OutsideList::Date) | None => {
            replace_in_list(request, list(request), name, value)
        }
    }?;
    point(request, name);
    Ok(())
}

/// Drops all lines of this name. Server and Date are left out then; Content-Length turns into
/// chunks.
pub fn remove(request: Request, name: &[u8]) -> Result<(), Status> {
    if name.first() == Some(&b':') {
        return Ok(());
    }
    // SAFETY: the request is live.
    let headers = unsafe { &raw mut (*request.as_ptr()).headers_out };
    remove_in_list(list(request), name);
    match named(name) {
        Some(OutsideList::ContentType) => set_content_type(request, b"")?,
        Some(OutsideList::ContentLength) => request.set_response_length(None),
        // nginx writes its own unless the field points at a line, be it switched off.
        Some(OutsideList::Server | OutsideList::Date) => {
            let line = push(request, list(request), name, b"")?;
            // SAFETY: the line was made just now.
            unsafe {
                (*line).hash = 0;
                *field(headers, offset(name).ok_or(Status::InternalFailure)?) = line;
            }
            return Ok(());
        }
        // SAFETY: the line was made just now.
        Some(OutsideList::LastModified) => unsafe { (*headers).last_modified_time = -1 },
        Some(OutsideList::TransferEncoding | OutsideList::Connection) | None => {}
    }
    point(request, name);
    Ok(())
}

/// Replaces the whole map; `:status` keeps its value when it is not among the pairs. `length` as in [`add`].
pub fn set_pairs(
    request: Request,
    length: Option<u64>,
    pairs: &[(&[u8], &[u8])],
) -> Result<(), Status> {
    for (name, value) in pairs {
        let valid = match name.to_ascii_lowercase().as_slice() {
            b":status" => parse_status(value).is_some(),
            _ => check_line(name, value).is_ok(),
        };
        if !valid {
            return Err(Status::BadArgument);
        }
    }
    // Each step looks at every line at most once: there may be many.
    let last = |name: &[u8]| {
        pairs
            .iter()
            .rposition(|(n, _)| n.eq_ignore_ascii_case(name))
    };
    let is_there = |name: &[u8]| get(request, name, &mut |_| {});
    let goes = |name: &&[u8]| last(name).is_none() && is_there(name);
    let gone: Vec<_> = OUTSIDE_LIST
        .iter()
        .map(|(name, _)| *name)
        .filter(goes)
        .collect();
    // SAFETY: the list is the live request's; switching off lines does not change it.
    unsafe {
        for line in table::iter(list(request)).filter(|line| (**line).hash != 0) {
            let name = table::key(line);
            if !(is_single(name) && last(name).is_some()) {
                (*line).hash = 0;
            }
        }
    }
    point_all(request);
    for name in gone {
        remove(request, name)?;
    }
    for (index, (name, value)) in pairs.iter().enumerate() {
        match is_single(name) {
            // Of several where there can be one, the last counts.
            true if last(name) == Some(index) => replace(request, length, name, value)?,
            true => {}
            false if is_of_connection(request, name) => {}
            false => push(request, list(request), name, without_blanks(value)).map(drop)?,
        }
    }
    point_all(request);
    Ok(())
}

/// Lines of which a response has one at the most, wherever nginx keeps them.
fn is_single(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b":status") || named(name).is_some()
}

fn status(request: Request) -> String {
    request.status().to_string()
}

fn set_status(request: Request, value: &[u8]) -> Result<(), Status> {
    request.set_status(parse_status(value).ok_or(Status::BadArgument)?);
    Ok(())
}

fn parse_status(value: &[u8]) -> Option<usize> {
    let status = std::str::from_utf8(value).ok()?.parse().ok()?;
    (200..=999).contains(&status).then_some(status)
}

fn list(request: Request) -> *mut ngx_list_t {
    // SAFETY: the request is live.
    unsafe { &raw mut (*request.as_ptr()).headers_out.headers }
}
