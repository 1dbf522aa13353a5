//! Why an outbound connection fails.

use std::{fmt, io};

use thiserror::Error as ThisError;

/// What a connection was waiting for when its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// `wasm_call_connect_timeout`, including the TLS handshake.
    Connect,
    /// `wasm_call_send_timeout`
    Send,
    /// `wasm_call_read_timeout`
    Read,
    /// The call's own timeout, as the guest has set it.
    Call,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wait::Connect => "connecting to",
            Wait::Send => "sending to",
            Wait::Read => "reading from",
            Wait::Call => "waiting for",
        })
    }
}

/// Displayed as one clear line, for the log and for the guest.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum Error {
    /// No connection to this server, for a reason such as "111: Connection refused".
    #[error("connect() to {to} failed ({reason})")]
    Connect { to: String, reason: String },
    /// An established connection failed: reset, or an error in TLS.
    #[error("connection to {from} failed: {reason}")]
    Io { from: String, reason: String },
    #[error("timed out while {wait} {with}")]
    Timeout { with: String, wait: Wait },
    /// The resolver's answer.
    #[error("{name} could not be resolved ({reason})")]
    Dns { name: String, reason: String },
    /// There is no `resolver` directive.
    #[error("no resolver defined to resolve {name}")]
    NoResolver { name: String },
    /// The handshake failed, or the certificate is not to be trusted.
    #[error("TLS with {with} failed: {reason}")]
    Tls { with: String, reason: String },
    /// Every server of the `upstream` block is down or has failed.
    #[error("no live upstreams in \"{name}\"")]
    NoLiveUpstream { name: String },
    /// Calls have as many connections as they may.
    #[error("no connection to {name}: the worker has none for more calls (wasm_call_connections)")]
    NoConnection { name: String },
    /// nginx is out of memory or connections, or was built without what is needed.
    #[error("{reason}")]
    Internal { reason: String },
}

/// hyper knows only I/O errors; [`Error::from_io`] finds the cause in them again.
impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match &error {
            Error::Timeout { .. } => io::ErrorKind::TimedOut,
            Error::Io { .. } => io::ErrorKind::ConnectionReset,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

impl Error {
    /// The cause among the sources of `error`, if a connection of this module reported it.
    pub fn find<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Error>() {
                return Some(found);
            }
            if let Some(io) = error.downcast_ref::<io::Error>()
                && let Some(found) = io.get_ref().and_then(|inner| inner.downcast_ref::<Error>())
            {
                return Some(found);
            }
            next = error.source();
        }
        None
    }
}
