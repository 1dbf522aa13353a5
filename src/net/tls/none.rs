//! For an nginx that was built without OpenSSL.

use std::convert::Infallible;
use std::rc::Rc;

use ngx::ffi::{ngx_conf_t, ngx_connection_t};

use crate::net::connection::Connection;
use crate::net::error::Error;
use crate::net::tls::{Tls, Trust};

/// There is none.
pub struct Context(Infallible);

impl Context {
    /// # Safety
    /// None is needed; see the variant with OpenSSL.
    pub unsafe fn new(_cf: *mut ngx_conf_t, _trust: &Trust) -> Option<Option<Rc<Context>>> {
        Some(None)
    }
}

pub async fn handshake(_: &Connection, context: &Context, _: &Tls) -> Result<(), Error> {
    match context.0 {}
}

/// # Safety
/// None is needed; see the variant with OpenSSL.
pub unsafe fn serves(_: *mut ngx_connection_t, context: Option<&Context>, _: Option<&Tls>) -> bool {
    context.is_none()
}

/// Is it TLS?
///
/// # Safety
/// `raw` is open.
pub unsafe fn is_tls(_raw: *mut ngx_connection_t) -> bool {
    false
}
