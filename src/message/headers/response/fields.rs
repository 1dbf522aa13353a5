//! The fields that nginx has for known response lines.

use std::mem::offset_of;

use ngx::ffi::{ngx_http_headers_out_t, ngx_table_elt_t};

use crate::message::headers::response::lines::live_lines;
use crate::message::headers::response::list;
use crate::message::headers::response::outside_list::named;
use crate::nginx::request::Request;

/// Points nginx's field for lines of this name, if it has one, at the live ones.
pub fn point(request: Request, name: &[u8]) {
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

/// Does so for all names of which there can be several lines.
pub fn point_all(request: Request) {
    const OTHERS: [&[u8]; 3] = [b"location", b"cache-control", b"link"];
    let names = POINTERS.iter().map(|(name, _)| *name).chain(OTHERS);
    names
        .filter(|name| named(name).is_none())
        .for_each(|name| point(request, name));
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
pub unsafe fn field(
    headers: *mut ngx_http_headers_out_t,
    offset: usize,
) -> *mut *mut ngx_table_elt_t {
    // SAFETY: `offset` is that of a pointer to a header line.
    unsafe { headers.byte_add(offset).cast() }
}

/// Where nginx keeps a pointer to lines of this name.
pub fn offset(name: &[u8]) -> Option<usize> {
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
