//! The fields that nginx has for known request lines.

use std::mem::offset_of;

use ngx::ffi::{ngx_http_headers_in_t, ngx_table_elt_t};

use crate::nginx::request::Request;
use crate::nginx::table;

/// The field of nginx's structure at `offset`.
///
/// # Safety
/// `offset` is that of a pointer to a header line.
pub unsafe fn field(
    headers: *mut ngx_http_headers_in_t,
    offset: usize,
) -> *mut *mut ngx_table_elt_t {
    // SAFETY: `offset` is that of a pointer to a header line.
    unsafe { headers.byte_add(offset).cast() }
}

/// Points the field for this line's name at it, or the end of the field's list, which `ends` knows.
///
/// # Safety
/// `headers` and `line` are the live request's.
// Each version of nginx needs one of the two.
#[allow(unused_variables)]
pub unsafe fn point(
    request: Request,
    headers: *mut ngx_http_headers_in_t,
    line: *mut ngx_table_elt_t,
    ends: Option<&mut [*mut ngx_table_elt_t; KNOWN.len()]>,
) {
    // SAFETY: by the contract; the offsets are those of such fields.
    unsafe {
        let name = table::key(line);
        #[cfg(not(nginx1_23_0))]
        if let Some(array) = array(headers, name) {
            push_pointer(request, array, line);
            return;
        }
        let named = |(known, _): &(&[u8], usize)| name.eq_ignore_ascii_case(known);
        let Some(index) = KNOWN.iter().position(named) else {
            return;
        };
        let offset = &KNOWN[index].1;
        #[cfg_attr(not(nginx1_23_0), allow(unused_mut))]
        let mut place = field(headers, *offset);
        #[cfg(nginx1_23_0)]
        {
            (*line).next = std::ptr::null_mut();
            if let Some(ends) = ends {
                let end = std::mem::replace(&mut ends[index], line);
                if !end.is_null() {
                    place = &raw mut (*end).next;
                }
            }
            while !(*place).is_null() {
                place = &raw mut (**place).next;
            }
            *place = line;
        }
        #[cfg(not(nginx1_23_0))]
        if (*place).is_null() {
            *place = line;
        }
    }
}

/// Before 1.23, repeated lines of these two were kept in arrays.
#[cfg(not(nginx1_23_0))]
fn array(headers: *mut ngx_http_headers_in_t, name: &[u8]) -> Option<*mut ngx::ffi::ngx_array_t> {
    // SAFETY: `headers` is the live request's.
    unsafe {
        match name.to_ascii_lowercase().as_slice() {
            b"cookie" => Some(&raw mut (*headers).cookies),
            b"x-forwarded-for" => Some(&raw mut (*headers).x_forwarded_for),
            _ => None,
        }
    }
}

#[cfg(not(nginx1_23_0))]
pub fn forget_arrays(headers: *mut ngx_http_headers_in_t) {
    for name in [&b"cookie"[..], b"x-forwarded-for"] {
        if let Some(array) = array(headers, name) {
            // SAFETY: all zeroes is an array that was not yet made. Its old memory may be shared
            // with another request of the same connection, so it is not written to.
            unsafe { std::ptr::write_bytes(array, 0, 1) };
        }
    }
}

#[cfg(not(nginx1_23_0))]
fn push_pointer(request: Request, array: *mut ngx::ffi::ngx_array_t, line: *mut ngx_table_elt_t) {
    use ngx::ffi::{ngx_array_create, ngx_array_push};
    // SAFETY: the array is the live request's, made here when it is still all zeroes.
    unsafe {
        if (*array).elts.is_null() {
            let size = size_of::<*mut ngx_table_elt_t>();
            match ngx_array_create(request.pool(), 2, size).as_ref() {
                Some(new) => *array = *new,
                None => return,
            }
        }
        let place: *mut *mut ngx_table_elt_t = ngx_array_push(array).cast();
        if !place.is_null() {
            *place = line;
        }
    }
}

macro_rules! known {
    ($($(#[$meta:meta])* $name:literal => $field:ident,)+) => {
        /// Lines that nginx keeps a pointer to, as the table `ngx_http_headers_in` has them.
        pub const KNOWN: &[(&[u8], usize)] = &[
            $($(#[$meta])* ($name, offset_of!(ngx_http_headers_in_t, $field)),)+
        ];
    };
}

known! {
    b"host" => host,
    b"connection" => connection,
    b"if-modified-since" => if_modified_since,
    b"if-unmodified-since" => if_unmodified_since,
    b"if-match" => if_match,
    b"if-none-match" => if_none_match,
    b"user-agent" => user_agent,
    b"referer" => referer,
    b"content-length" => content_length,
    b"content-range" => content_range,
    b"content-type" => content_type,
    b"range" => range,
    b"if-range" => if_range,
    b"transfer-encoding" => transfer_encoding,
    b"te" => te,
    b"expect" => expect,
    b"upgrade" => upgrade,
    #[cfg(ngx_feature = "http_gzip")]
    b"accept-encoding" => accept_encoding,
    #[cfg(ngx_feature = "http_gzip")]
    b"via" => via,
    b"authorization" => authorization,
    b"keep-alive" => keep_alive,
    #[cfg(all(nginx1_23_0, ngx_feature = "http_x_forwarded_for"))]
    b"x-forwarded-for" => x_forwarded_for,
    #[cfg(ngx_feature = "http_realip")]
    b"x-real-ip" => x_real_ip,
    #[cfg(ngx_feature = "http_dav")]
    b"depth" => depth,
    #[cfg(ngx_feature = "http_dav")]
    b"destination" => destination,
    #[cfg(ngx_feature = "http_dav")]
    b"overwrite" => overwrite,
    #[cfg(ngx_feature = "http_dav")]
    b"date" => date,
    #[cfg(nginx1_23_0)]
    b"cookie" => cookie,
}
