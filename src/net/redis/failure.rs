//! Why a Redis call fails.

use std::fmt;

use crate::net::budget;
use crate::net::error::Error;

/// Displayed as one clear line.
#[derive(Clone)]
pub enum Failure {
    /// Nothing of the command has been sent: there was no connection.
    Connect(Error),
    /// Nothing of the command has been sent when the connection ended.
    Unsent(String),
    /// The connection failed.
    Connection(String),
    /// The connection was closed before the reply.
    Closed(String),
    /// The server's answer to a command of the client's own.
    Refused {
        command: &'static str,
        reply: String,
    },
    Malformed(String),
    /// The reply is larger than this limit, in bytes.
    TooLarge(usize),
    /// The module's calls hold as much as they may.
    NoRoom,
    /// The worker has as many connections as it may.
    TooMany,
    Timeout(Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Connect(error) | Failure::Timeout(error) => error.fmt(f),
            Failure::Unsent(reason) | Failure::Connection(reason) => f.write_str(reason),
            Failure::Closed(server) => write!(f, "connection closed by {server} before the reply"),
            Failure::Refused { command, reply } => write!(f, "{command} was refused: {reply}"),
            Failure::Malformed(server) => write!(f, "malformed reply of {server}"),
            Failure::TooLarge(limit) => write!(f, "reply larger than {limit} bytes"),
            Failure::TooMany => f.write_str("too many Redis connections"),
            Failure::NoRoom => write!(
                f,
                "the module's calls hold more than {}m",
                budget::MOST >> 20
            ),
        }
    }
}
