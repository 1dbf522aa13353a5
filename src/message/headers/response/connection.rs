//! Response lines about one connection only (RFC 9110, section 7.6.1), which nginx makes itself. In HTTP/2 and HTTP/3
//! they are an error that costs the stream (RFC 9113, section 8.2.2; RFC 9114, section 4.2). Envoy takes them out behind its filters.

use ngx::ffi::NGX_HTTP_VERSION_20;

use crate::nginx::request::Request;

/// Is it a line that a guest's has no effect on? (`connection` and `transfer-encoding` have an effect: see
/// [`crate::message::headers::response::replace`].)
pub fn is_of_connection(request: Request, name: &[u8]) -> bool {
    let named = |known: &[u8]| name.eq_ignore_ascii_case(known);
    // SAFETY: the request is live.
    let version = || unsafe { (*request.as_ptr()).http_version };
    // An answer of 426 tells in it what may be asked for (RFC 9110, section 15.5.22).
    let upgrade = || named(b"upgrade") && version() >= NGX_HTTP_VERSION_20 as usize;
    named(b"keep-alive") || named(b"proxy-connection") || named(b"te") || upgrade()
}

/// May it be no trailer: is it about the connection, or tells how the message is framed or where it goes (RFC
/// 9110, section 6.5.1)?
pub fn is_no_trailer(name: &[u8]) -> bool {
    let known: [&[u8]; 9] = [
        b"connection",
        b"content-length",
        b"host",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    ];
    known.iter().any(|known| name.eq_ignore_ascii_case(known))
}
