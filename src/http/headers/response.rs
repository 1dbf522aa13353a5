//! The response header map: `r->headers_out`, with the lines that nginx writes from fields of its
//! own (Server, Date, Content-Type, Content-Length, Last-Modified) or from the state of the
//! connection (Connection, Transfer-Encoding).

use std::mem::offset_of;

use ngx::ffi::{
    NGINX_VER, NGINX_VER_BUILD, NGX_HTTP_VERSION_11, NGX_HTTP_VERSION_20, ngx_cached_http_time,
    ngx_http_headers_out_t, ngx_http_time, ngx_list_t, ngx_parse_http_time, ngx_str_t,
    ngx_table_elt_t,
};
use proxy_wasm_host::Status;

use super::{Visit, check_line, visit_lower};
use crate::nginx::request::Request;
use crate::nginx::{pool, table};

/// A line that is not in nginx's list.
#[derive(Clone, Copy)]
enum Apart {
    Server,
    Date,
    ContentType,
    ContentLength,
    LastModified,
    TransferEncoding,
    Connection,
}

/// The lines that are not in nginx's list, in the order in which nginx writes them.
const APART: [(&[u8], Apart); 7] = [
    (b"server", Apart::Server),
    (b"date", Apart::Date),
    (b"content-type", Apart::ContentType),
    (b"content-length", Apart::ContentLength),
    (b"last-modified", Apart::LastModified),
    (b"transfer-encoding", Apart::TransferEncoding),
    (b"connection", Apart::Connection),
];

/// The line of this name, if it is one of them.
fn named(name: &[u8]) -> Option<Apart> {
    let mut all = APART.iter();
    let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, line)| *line)
}

/// Visits `:status`, the lines that nginx keeps apart, and those in its list.
pub fn visit(request: Request, visit: Visit<'_>) {
    visit(b":status", status(request).as_bytes());
    for (name, line) in APART {
        apart(request, line, &mut |value| visit(name, value));
    }
    visit_list(list(request), visit);
}

/// How many [`visit`] visits.
pub fn count(request: Request) -> usize {
    let apart = APART.iter().filter(|(_, line)| is_apart(request, *line));
    // SAFETY: as in `visit_list`.
    let lines = unsafe { table::iter(list(request)).filter(|line| (**line).hash != 0) };
    1 + apart.count() + lines.count()
}

/// Visits a list of response lines or trailers, without those switched off.
fn visit_list(list: *mut ngx_list_t, visit: Visit<'_>) {
    // SAFETY: the list is the live request's; visiting does not change it.
    unsafe {
        for line in table::iter(list).filter(|line| (**line).hash != 0) {
            visit_lower(table::key(line), table::value(line), visit);
        }
    }
}

/// Passes the first value of `name` on; `false` when there is none.
pub fn get(request: Request, name: &[u8], found: &mut dyn FnMut(&[u8])) -> bool {
    if name.eq_ignore_ascii_case(b":status") {
        found(status(request).as_bytes());
        return true;
    }
    let apart = named(name).is_some_and(|line| apart(request, line, found));
    apart || get_in_list(list(request), name, found)
}

fn get_in_list(list: *mut ngx_list_t, name: &[u8], found: &mut dyn FnMut(&[u8])) -> bool {
    match live_lines(list, name).next() {
        Some(line) => {
            // SAFETY: found in the list just now.
            found(unsafe { table::value(line) });
            true
        }
        None => false,
    }
}

/// Appends a line. A line that can be there only once is set.
pub fn add(request: Request, name: &[u8], value: &[u8]) -> Result<(), Status> {
    if is_single(name) {
        return replace(request, name, value);
    }
    let value = check_line(name, value)?;
    push(request, list(request), name, value)?;
    point(request, name);
    Ok(())
}

/// Leaves one line of this name, with this value.
pub fn replace(request: Request, name: &[u8], value: &[u8]) -> Result<(), Status> {
    if name.eq_ignore_ascii_case(b":status") {
        return set_status(request, value);
    }
    let value = check_line(name, value)?;
    // SAFETY: the request is live.
    let headers = unsafe { &raw mut (*request.as_ptr()).headers_out };
    match named(name) {
        Some(Apart::ContentType) => set_content_type(request, value),
        Some(Apart::ContentLength) => {
            let length = parse_length(value).ok_or(Status::BadArgument)?;
            request.set_response_length(Some(length));
            Ok(())
        }
        Some(Apart::Connection) => {
            if value.eq_ignore_ascii_case(b"close") {
                // SAFETY: as above.
                unsafe { (*request.as_ptr()).set_keepalive(0) };
            }
            Ok(())
        }
        Some(Apart::TransferEncoding) => {
            request.set_response_length(None);
            Ok(())
        }
        Some(Apart::LastModified) => {
            // SAFETY: nginx's parser only reads the value.
            unsafe {
                (*headers).last_modified_time =
                    ngx_parse_http_time(value.as_ptr().cast_mut(), value.len());
            }
            replace_in_list(request, list(request), name, value)
        }
        Some(Apart::Server | Apart::Date) | None => {
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
        Some(Apart::ContentType) => set_content_type(request, b"")?,
        Some(Apart::ContentLength) => request.set_response_length(None),
        // nginx writes its own unless the field points at a line, be it switched off.
        Some(Apart::Server | Apart::Date) => {
            let line = push(request, list(request), name, b"")?;
            // SAFETY: the line was made just now.
            unsafe {
                (*line).hash = 0;
                *field(headers, offset(name).ok_or(Status::InternalFailure)?) = line;
            }
            return Ok(());
        }
        // SAFETY: as above.
        Some(Apart::LastModified) => unsafe { (*headers).last_modified_time = -1 },
        Some(Apart::TransferEncoding | Apart::Connection) | None => {}
    }
    point(request, name);
    Ok(())
}

/// Replaces the whole map; `:status` keeps its value when it is not among the pairs.
pub fn set_pairs(request: Request, pairs: &[(&[u8], &[u8])]) -> Result<(), Status> {
    for (name, value) in pairs {
        let valid = match name.to_ascii_lowercase().as_slice() {
            b":status" => parse_status(value).is_some(),
            b"content-length" => parse_length(value).is_some(),
            _ => check_line(name, value).is_ok(),
        };
        if !valid {
            return Err(Status::BadArgument);
        }
    }
    let mut old = Vec::new();
    visit(request, &mut |name, _| old.push(name.to_vec()));
    for name in &old {
        let kept = pairs.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) && is_single(name);
        if !kept {
            remove(request, name)?;
        }
    }
    for (name, value) in pairs {
        add(request, name, value)?;
    }
    Ok(())
}

/// `r->headers_out.trailers`, which nginx sends after a chunked or HTTP/2 body.
pub mod trailers {
    use super::*;

    pub fn visit(request: Request, visit: Visit<'_>) {
        visit_list(list(request), visit);
    }

    pub fn get(request: Request, name: &[u8], found: &mut dyn FnMut(&[u8])) -> bool {
        get_in_list(list(request), name, found)
    }

    pub fn add(request: Request, name: &[u8], value: &[u8]) -> Result<(), Status> {
        let value = check_line(name, value)?;
        push(request, list(request), name, value).map(drop)
    }

    pub fn replace(request: Request, name: &[u8], value: &[u8]) -> Result<(), Status> {
        let value = check_line(name, value)?;
        replace_in_list(request, list(request), name, value)
    }

    pub fn remove(request: Request, name: &[u8]) -> Result<(), Status> {
        remove_in_list(list(request), name);
        Ok(())
    }

    pub fn set_pairs(request: Request, pairs: &[(&[u8], &[u8])]) -> Result<(), Status> {
        for (name, value) in pairs {
            check_line(name, value)?;
        }
        // SAFETY: the list is the live request's.
        unsafe { table::iter(list(request)).for_each(|line| (*line).hash = 0) };
        for (name, value) in pairs {
            add(request, name, value)?;
        }
        Ok(())
    }

    fn list(request: Request) -> *mut ngx_list_t {
        // SAFETY: the request is live.
        unsafe { &raw mut (*request.as_ptr()).headers_out.trailers }
    }
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

fn parse_length(value: &[u8]) -> Option<u64> {
    let length = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
    i64::try_from(length).ok()?;
    Some(length)
}

/// Is there this line, and not in nginx's list?
fn is_apart(request: Request, line: Apart) -> bool {
    // SAFETY: the request, its strings and its configuration are live.
    unsafe {
        let r = request.as_ptr();
        let headers = &raw const (*r).headers_out;
        match line {
            Apart::Server => (*headers).server.is_null(),
            Apart::Date => (*headers).date.is_null(),
            Apart::ContentType => (*headers).content_type.len > 0,
            Apart::ContentLength => {
                (*headers).content_length.is_null() && request.response_length().is_some()
            }
            Apart::LastModified => {
                (*headers).last_modified.is_null() && (*headers).last_modified_time != -1
            }
            Apart::TransferEncoding => is_chunked(request),
            Apart::Connection => (*r).http_version < NGX_HTTP_VERSION_20 as usize,
        }
    }
}

/// Passes on the value of this line; `false` when it is not there, or in nginx's list.
fn apart(request: Request, line: Apart, found: &mut dyn FnMut(&[u8])) -> bool {
    if !is_apart(request, line) {
        return false;
    }
    // SAFETY: as above.
    unsafe {
        let r = request.as_ptr();
        let headers = &raw const (*r).headers_out;
        match line {
            Apart::Server => {
                found(match (*request.core_loc_conf()).server_tokens {
                    0 => b"nginx",
                    1 => NGINX_VER.to_bytes(),
                    _ => NGINX_VER_BUILD.to_bytes(),
                });
            }
            Apart::Date => {
                let now = &raw const ngx_cached_http_time;
                found((*now).as_bytes());
            }
            Apart::ContentType => {
                let value = (*headers).content_type.as_bytes();
                match (*headers).content_type_len == value.len() && (*headers).charset.len > 0 {
                    true => {
                        let charset = (*headers).charset.as_bytes();
                        found(&[value, b"; charset=", charset].concat());
                    }
                    false => found(value),
                }
            }
            Apart::ContentLength => match request.response_length() {
                Some(length) => found(length.to_string().as_bytes()),
                None => return false,
            },
            Apart::LastModified => {
                let mut text = [0u8; 32];
                let end = ngx_http_time(text.as_mut_ptr(), (*headers).last_modified_time);
                let length = end.offset_from(text.as_ptr()).clamp(0, 32) as usize;
                found(&text[..length]);
            }
            Apart::TransferEncoding => found(b"chunked"),
            Apart::Connection => {
                found(match (*r).keepalive() {
                    _ if request.status() == 101 => b"upgrade",
                    0 => b"close",
                    _ => b"keep-alive",
                });
            }
        }
    }
    true
}

/// Will nginx's chunked filter frame the body?
fn is_chunked(request: Request) -> bool {
    // SAFETY: the request and its configuration are live.
    unsafe {
        (*request.as_ptr()).http_version == NGX_HTTP_VERSION_11 as usize
            && request.is_main()
            && request.response_length().is_none()
            && !request.response_is_bodiless()
            && (*request.core_loc_conf()).chunked_transfer_encoding != 0
    }
}

/// Is there a content-type?
pub fn is_typed(request: Request) -> bool {
    is_apart(request, Apart::ContentType)
}

/// Sets the type so that nginx writes these bytes; a `charset` directive can only add to a type
/// without parameters.
pub fn set_content_type(request: Request, value: &[u8]) -> Result<(), Status> {
    // SAFETY: the request is live; the value is in its pool.
    unsafe {
        let headers = &raw mut (*request.as_ptr()).headers_out;
        (*headers).content_type =
            pool::copy(request.pool(), value).ok_or(Status::InternalFailure)?;
        let end = value.iter().position(|&b| b == b';').unwrap_or(value.len());
        (*headers).content_type_len = value[..end].trim_ascii_end().len();
        (*headers).content_type_lowcase = std::ptr::null_mut();
        (*headers).content_type_hash = 0;
        (*headers).charset = ngx_str_t::empty();
    }
    Ok(())
}

fn list(request: Request) -> *mut ngx_list_t {
    // SAFETY: the request is live.
    unsafe { &raw mut (*request.as_ptr()).headers_out.headers }
}

/// Lines of this name that are not switched off.
fn live_lines(
    list: *mut ngx_list_t,
    name: &[u8],
) -> impl Iterator<Item = *mut ngx_table_elt_t> + '_ {
    // SAFETY: the list is the live request's.
    unsafe {
        table::iter(list)
            .filter(move |line| (**line).hash != 0 && table::key(*line).eq_ignore_ascii_case(name))
    }
}

fn push(
    request: Request,
    list: *mut ngx_list_t,
    name: &[u8],
    value: &[u8],
) -> Result<*mut ngx_table_elt_t, Status> {
    // SAFETY: the list is the live request's.
    let line = unsafe { table::push(list, request.pool(), name, value) };
    match line.is_null() {
        true => Err(Status::InternalFailure),
        false => Ok(line),
    }
}

fn replace_in_list(
    request: Request,
    list: *mut ngx_list_t,
    name: &[u8],
    value: &[u8],
) -> Result<(), Status> {
    let mut lines = live_lines(list, name);
    let Some(first) = lines.next() else {
        return push(request, list, name, value).map(drop);
    };
    // SAFETY: found in the list just now; the value is copied into the request's pool.
    unsafe {
        lines.for_each(|line| (*line).hash = 0);
        (*first).value = pool::copy(request.pool(), value).ok_or(Status::InternalFailure)?;
    }
    Ok(())
}

fn remove_in_list(list: *mut ngx_list_t, name: &[u8]) {
    // SAFETY: found in the list just now.
    live_lines(list, name).for_each(|line| unsafe { (*line).hash = 0 });
}

/// Points nginx's field for lines of this name, if it has one, at the live ones.
fn point(request: Request, name: &[u8]) {
    // SAFETY: the request is live, and offsets are those of pointers to lines.
    unsafe {
        let headers = &raw mut (*request.as_ptr()).headers_out;
        // nginx makes a relative target in this field absolute; what a guest has set is meant.
        if name.eq_ignore_ascii_case(b"location") {
            (*headers).location = std::ptr::null_mut();
            return;
        }
        #[cfg(not(nginx1_23_0))]
        forget_array(headers, name);
        let Some(offset) = offset(name) else {
            return;
        };
        #[cfg_attr(not(nginx1_23_0), allow(unused_mut))]
        let mut place = field(headers, offset);
        *place = std::ptr::null_mut();
        for line in live_lines(list(request), name) {
            *place = line;
            #[cfg(nginx1_23_0)]
            {
                place = &raw mut (*line).next;
                *place = std::ptr::null_mut();
            }
            #[cfg(not(nginx1_23_0))]
            return;
        }
    }
}

/// Before 1.23, lines of these two were kept in arrays; nginx then makes a new one when it adds.
#[cfg(not(nginx1_23_0))]
fn forget_array(headers: *mut ngx_http_headers_out_t, name: &[u8]) {
    // SAFETY: `headers` is the live request's; all zeroes is an array that was not yet made.
    unsafe {
        if name.eq_ignore_ascii_case(b"cache-control") {
            std::ptr::write_bytes(&raw mut (*headers).cache_control, 0, 1);
        } else if name.eq_ignore_ascii_case(b"link") {
            std::ptr::write_bytes(&raw mut (*headers).link, 0, 1);
        }
    }
}

/// The field of nginx's structure at `offset`.
///
/// # Safety
/// `offset` is that of a pointer to a header line.
unsafe fn field(headers: *mut ngx_http_headers_out_t, offset: usize) -> *mut *mut ngx_table_elt_t {
    // SAFETY: by the contract.
    unsafe { headers.byte_add(offset).cast() }
}

/// Where nginx keeps a pointer to lines of this name.
fn offset(name: &[u8]) -> Option<usize> {
    let mut all = POINTERS.iter();
    let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, offset)| *offset)
}

/// Lines that nginx keeps a pointer to.
const POINTERS: &[(&[u8], usize)] = &[
    (b"server", offset_of!(ngx_http_headers_out_t, server)),
    (b"date", offset_of!(ngx_http_headers_out_t, date)),
    (
        b"content-encoding",
        offset_of!(ngx_http_headers_out_t, content_encoding),
    ),
    (b"refresh", offset_of!(ngx_http_headers_out_t, refresh)),
    (
        b"last-modified",
        offset_of!(ngx_http_headers_out_t, last_modified),
    ),
    (
        b"content-range",
        offset_of!(ngx_http_headers_out_t, content_range),
    ),
    (
        b"accept-ranges",
        offset_of!(ngx_http_headers_out_t, accept_ranges),
    ),
    (
        b"www-authenticate",
        offset_of!(ngx_http_headers_out_t, www_authenticate),
    ),
    (b"expires", offset_of!(ngx_http_headers_out_t, expires)),
    (b"etag", offset_of!(ngx_http_headers_out_t, etag)),
    #[cfg(nginx1_23_0)]
    (
        b"cache-control",
        offset_of!(ngx_http_headers_out_t, cache_control),
    ),
    #[cfg(nginx1_23_0)]
    (b"link", offset_of!(ngx_http_headers_out_t, link)),
];
