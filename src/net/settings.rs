//! What holds for outbound calls: their limits, and whom they trust.

use std::rc::Rc;
use std::time::Duration;

use crate::net::tls;

/// Of a location, or of root contexts.
pub struct Settings {
    /// From the start of a connection to the end of the TLS handshake.
    pub connect_timeout: Duration,
    /// Between two successive writes.
    pub send_timeout: Duration,
    /// Between two successive reads.
    pub read_timeout: Duration,
    /// Largest body of a response, in bytes.
    pub buffer_size: usize,
    pub trust: tls::Trust,
    /// `None` when this nginx has no TLS.
    pub tls: Option<Rc<tls::SslContext>>,
}
