//! The head of a component's response.

use http::header::{CONTENT_LENGTH, HeaderMap, TE};
use http::response::Parts;
use ngx::ffi::{NGX_HTTP_VERSION_20, ngx_http_send_header, ngx_http_set_content_type, ngx_int_t};

use crate::message::headers::{request as request_headers, response as headers};
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK};

/// Why a head cannot be sent. Displayed as one line, for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    #[error("the response's status {0} is no final one")]
    Status(u16),
    #[error("the response's content-length is no single number")]
    Length,
}

/// The length that a response's header tells, in bytes.
pub fn length(headers: &HeaderMap) -> Result<Option<u64>, Unsendable> {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let Some(line) = lines.next() else {
        return Ok(None);
    };
    let text = line.to_str().unwrap_or_default();
    let number = text.bytes().all(|byte| byte.is_ascii_digit());
    match (text.parse(), number, lines.next()) {
        (Ok(length), true, None) => Ok(Some(length)),
        _ => Err(Unsendable::Length),
    }
}

/// Can the status be that of a response?
pub fn check_status(head: &Parts) -> Result<(), Unsendable> {
    match head.status.as_u16() {
        status @ ..200 => Err(Unsendable::Status(status)),
        _ => Ok(()),
    }
}

/// Sends the head through nginx's header filters. `length`: the body's, if it is known. The result is nginx's.
pub fn send(request: Request, head: &Parts, length: Option<u64>) -> ngx_int_t {
    request.set_status(head.status.as_u16().into());
    request.set_response_length(length);
    for (name, value) in &head.headers {
        // A line that cannot be sent is left out rather than the response.
        if *name != CONTENT_LENGTH {
            let _ = headers::add(request, length, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    let r = request.as_ptr();
    // SAFETY: the request is live, in a location of nginx's core module, and its header is not yet sent.
    unsafe {
        // What a client has is known to the component alone, as to an upstream.
        (*r).set_disable_not_modified(1);
        if !headers::outside_list::is_typed(request) && ngx_http_set_content_type(r) != OK {
            return ERROR;
        }
        ngx_http_send_header(r)
    }
}

/// Puts the trailers behind the body, for a client that takes some (RFC 9110, section 6.5.1).
pub fn set_trailers(request: Request, trailers: &HeaderMap) {
    if !takes_trailers(request) {
        return;
    }
    for (name, value) in trailers {
        let _ = headers::trailers::add(request, name.as_str().as_bytes(), value.as_bytes());
    }
}

fn takes_trailers(request: Request) -> bool {
    // SAFETY: a handle is of a live request.
    if unsafe { (*request.as_ptr()).http_version } >= NGX_HTTP_VERSION_20 as usize {
        return true;
    }
    let mut takes = false;
    request_headers::visit(request, &mut |name, value| {
        if name == TE.as_str().as_bytes() {
            let mut codings = value.split(|byte| *byte == b',');
            takes |= codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"));
        }
    });
    takes
}
