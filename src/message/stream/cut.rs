//! The end of a response that is not complete: no client may take it for a whole one.

use ngx::ffi::{NGX_HTTP_FLUSH, NGX_HTTP_VERSION_20, ngx_http_send_special, ngx_int_t};

use crate::nginx::ERROR;
use crate::nginx::request::Request;

/// Ends a response whose header has been sent. The result is one to finalize the request with: what has been made of the
/// body goes to the client, but not its end. A body in chunks has no last one then, and the stream of HTTP/2 or HTTP/3 is
/// reset, as where an upstream fails.
pub fn cut(request: Request) -> ngx_int_t {
    // SAFETY: the request is live, and its header has been sent.
    unsafe {
        let r = request.as_ptr();
        (*r).set_keepalive(0);
        if !request.is_main() {
            return ERROR;
        }
        if !is_framed(request) {
            reset(request);
            return ERROR;
        }
        ngx_http_send_special(r, NGX_HTTP_FLUSH as usize)
    }
}

/// Does something else than the end of the connection tell where the body ends?
fn is_framed(request: Request) -> bool {
    // SAFETY: a handle is of a live request.
    unsafe {
        let r = request.as_ptr();
        (*r).http_version >= NGX_HTTP_VERSION_20 as usize
            || (*r).chunked() != 0
            || request.response_length().is_some()
    }
}

/// Has the system tell the client that the connection has failed, rather than that it has ended.
fn reset(request: Request) {
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let size = size_of_val(&at_once) as libc::socklen_t;
    let value = (&raw const at_once).cast();
    // SAFETY: the connection of a live request is open; the option is such a structure, which is only read.
    unsafe {
        let connection = request.connection();
        libc::setsockopt(
            (*connection).fd,
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            value,
            size,
        );
        (*connection).set_error(1);
        #[cfg(ngx_feature = "http_ssl")]
        if let Some(ssl) = (*connection).ssl.as_mut() {
            ssl.set_no_send_shutdown(1);
        }
    }
}
