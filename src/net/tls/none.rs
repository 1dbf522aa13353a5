//! For an nginx that was built without OpenSSL.

use std::convert::Infallible;
use std::rc::Rc;

use ngx::ffi::ngx_connection_t;

use crate::net::connection::Connection;
use crate::net::error::Error;
use crate::net::tls::{Logged, Tls, Trust};
use crate::nginx::conf::Cf;

/// There is none.
pub struct SslContext(Infallible);

impl SslContext {
    pub fn new(_cf: Cf<'_>, _trust: &Trust) -> Result<Option<Rc<SslContext>>, Logged> {
        Ok(None)
    }
}

pub async fn handshake(_: &Connection, context: &SslContext, _: &Tls) -> Result<(), Error> {
    match context.0 {}
}

/// # Safety
/// None is needed; see the variant with OpenSSL.
pub unsafe fn serves(
    _: *mut ngx_connection_t,
    context: Option<&SslContext>,
    _: Option<&Tls>,
) -> bool {
    context.is_none()
}

/// Is it TLS?
///
/// # Safety
/// `raw` is open.
pub unsafe fn is_tls(_raw: *mut ngx_connection_t) -> bool {
    false
}
