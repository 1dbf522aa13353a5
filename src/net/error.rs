//! Why an outbound connection fails.

use std::fmt;
use std::io;

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

/// Displayed as one clear line, for the log and for the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No connection to this server, for a reason such as "111: Connection refused".
    Connect {
        to: String,
        reason: String,
    },
    /// An established connection failed: reset, or an error in TLS.
    Io {
        from: String,
        reason: String,
    },
    Timeout {
        with: String,
        wait: Wait,
    },
    /// The resolver's answer.
    Dns {
        name: String,
        reason: String,
    },
    /// There is no `resolver` directive.
    NoResolver {
        name: String,
    },
    /// The handshake failed, or the certificate is not to be trusted.
    Tls {
        with: String,
        reason: String,
    },
    /// Every server of the `upstream` block is down or has failed.
    NoLiveUpstream {
        name: String,
    },
    /// nginx is out of memory or connections, or was built without what is needed.
    Internal {
        reason: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Connect { to, reason } => write!(f, "connect() to {to} failed ({reason})"),
            Error::Io { from, reason } => write!(f, "connection to {from} failed: {reason}"),
            Error::Timeout { with, wait } => {
                let wait = match wait {
                    Wait::Connect => "connecting to",
                    Wait::Send => "sending to",
                    Wait::Read => "reading from",
                    Wait::Call => "waiting for",
                };
                write!(f, "timed out while {wait} {with}")
            }
            Error::Dns { name, reason } => write!(f, "{name} could not be resolved ({reason})"),
            Error::NoResolver { name } => write!(f, "no resolver defined to resolve {name}"),
            Error::Tls { with, reason } => write!(f, "TLS with {with} failed: {reason}"),
            Error::NoLiveUpstream { name } => write!(f, "no live upstreams in \"{name}\""),
            Error::Internal { reason } => f.write_str(reason),
        }
    }
}

impl std::error::Error for Error {}

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
