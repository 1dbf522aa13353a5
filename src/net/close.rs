//! The end of a connection of nginx's.

use ngx::ffi::{ngx_close_connection, ngx_connection_t, ngx_destroy_pool};

#[cfg(ngx_feature = "ssl")]
use crate::nginx::AGAIN;

/// Closes a connection and its pool. In TLS the server is told so, if it can be without waiting.
///
/// # Safety
/// `raw` is open, nothing uses it or its pool afterwards, and its log is nginx's own.
pub unsafe fn close(raw: *mut ngx_connection_t) {
    // SAFETY: `raw` is open, nothing uses it or its pool afterwards, and its log is nginx's own.
    unsafe {
        end_tls(raw);
        let pool = (*raw).pool;
        ngx_close_connection(raw);
        if !pool.is_null() {
            ngx_destroy_pool(pool);
        }
    }
}

#[cfg(ngx_feature = "ssl")]
unsafe fn end_tls(raw: *mut ngx_connection_t) {
    use ngx::ffi::ngx_ssl_shutdown;
    // SAFETY: by the contract of `close`. nginx frees `ssl` unless it has to wait, which it has
    // not once neither side's end is waited for.
    unsafe {
        if let Some(ssl) = (*raw).ssl.as_mut() {
            ssl.set_no_wait_shutdown(1);
            if ngx_ssl_shutdown(raw) == AGAIN
                && let Some(ssl) = (*raw).ssl.as_mut()
            {
                ssl.set_no_send_shutdown(1);
                ngx_ssl_shutdown(raw);
            }
        }
    }
}

#[cfg(not(ngx_feature = "ssl"))]
unsafe fn end_tls(_raw: *mut ngx_connection_t) {}

/// Is there anything to be read from an idle connection, or its end?
///
/// # Safety
/// `raw` is open.
pub unsafe fn has_news(raw: *mut ngx_connection_t) -> bool {
    let mut byte = [0u8; 1];
    // SAFETY: `recv` looks at no more than the one byte; the socket does not block.
    unsafe {
        let n = libc::recv((*raw).fd, byte.as_mut_ptr().cast(), 1, libc::MSG_PEEK);
        n >= 0 || *libc::__errno_location() != libc::EAGAIN
    }
}
