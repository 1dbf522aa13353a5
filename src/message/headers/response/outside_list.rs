//! The response lines that nginx writes from fields of its own or from the state of the connection.

use ngx::ffi::{
    NGINX_VER, NGINX_VER_BUILD, NGX_HTTP_VERSION_11, NGX_HTTP_VERSION_20, ngx_cached_http_time,
    ngx_http_time, ngx_str_t,
};
use proxy_wasm_host::Status;

use crate::nginx::pool;
use crate::nginx::request::Request;

/// A line that is not in nginx's list.
#[derive(Clone, Copy)]
pub enum OutsideList {
    Server,
    Date,
    ContentType,
    ContentLength,
    LastModified,
    TransferEncoding,
    Connection,
}

/// The lines that are not in nginx's list, in the order in which nginx writes them.
pub const OUTSIDE_LIST: [(&[u8], OutsideList); 7] = [
    (b"server", OutsideList::Server),
    (b"date", OutsideList::Date),
    (b"content-type", OutsideList::ContentType),
    (b"content-length", OutsideList::ContentLength),
    (b"last-modified", OutsideList::LastModified),
    (b"transfer-encoding", OutsideList::TransferEncoding),
    (b"connection", OutsideList::Connection),
];

/// The line of this name, if it is one of them.
pub fn named(name: &[u8]) -> Option<OutsideList> {
    let mut all = OUTSIDE_LIST.iter();
    let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, line)| *line)
}

/// Is there this line, and not in nginx's list?
pub fn is_outside_list(request: Request, line: OutsideList) -> bool {
    // SAFETY: the request, its strings and its configuration are live.
    unsafe {
        let r = request.as_ptr();
        let headers = &raw const (*r).headers_out;
        match line {
            OutsideList::Server => (*headers).server.is_null(),
            OutsideList::Date => (*headers).date.is_null(),
            OutsideList::ContentType => (*headers).content_type.len > 0,
            OutsideList::ContentLength => {
                (*headers).content_length.is_null() && request.response_length().is_some()
            }
            OutsideList::LastModified => {
                (*headers).last_modified.is_null() && (*headers).last_modified_time != -1
            }
            OutsideList::TransferEncoding => is_chunked(request),
            OutsideList::Connection => (*r).http_version < NGX_HTTP_VERSION_20 as usize,
        }
    }
}

/// Passes on the value of this line; `false` when it is not there, or in nginx's list.
pub fn visit_outside_list(
    request: Request,
    line: OutsideList,
    found: &mut dyn FnMut(&[u8]),
) -> bool {
    if !is_outside_list(request, line) {
        return false;
    }
    // SAFETY: the request, its strings and its configuration are live.
    unsafe {
        let r = request.as_ptr();
        let headers = &raw const (*r).headers_out;
        match line {
            OutsideList::Server => {
                found(match (*request.core_loc_conf()).server_tokens {
                    0 => b"nginx",
                    1 => NGINX_VER.to_bytes(),
                    _ => NGINX_VER_BUILD.to_bytes(),
                });
            }
            OutsideList::Date => {
                let now = &raw const ngx_cached_http_time;
                found((*now).as_bytes());
            }
            OutsideList::ContentType => {
                let value = (*headers).content_type.as_bytes();
                match (*headers).content_type_len == value.len() && (*headers).charset.len > 0 {
                    true => {
                        let charset = (*headers).charset.as_bytes();
                        found(&[value, b"; charset=", charset].concat());
                    }
                    false => found(value),
                }
            }
            OutsideList::ContentLength => match request.response_length() {
                Some(length) => found(length.to_string().as_bytes()),
                None => return false,
            },
            OutsideList::LastModified => {
                let mut text = [0u8; 32];
                let end = ngx_http_time(text.as_mut_ptr(), (*headers).last_modified_time);
                let length = end.offset_from(text.as_ptr()).clamp(0, 32) as usize;
                found(&text[..length]);
            }
            OutsideList::TransferEncoding => found(b"chunked"),
            OutsideList::Connection => {
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
    is_outside_list(request, OutsideList::ContentType)
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
