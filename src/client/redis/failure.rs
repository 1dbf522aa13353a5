//! Why a Redis call fails.

use thiserror::Error as ThisError;

use crate::client::budget;
use crate::net::error::Error;

/// Displayed as one clear line.
#[derive(Clone, Debug, ThisError)]
pub enum Failure {
    /// Nothing of the command has been sent: there was no connection.
    #[error("{0}")]
    Connect(Error),
    /// Nothing of the command has been sent when the connection ended.
    #[error("{0}")]
    Unsent(String),
    /// The connection failed.
    #[error("{0}")]
    Connection(String),
    /// The connection was closed before the reply.
    #[error("connection closed by {0} before the reply")]
    Closed(String),
    /// The server's answer to a command of the client's own.
    #[error("{command} was refused: {reply}")]
    Refused {
        command: &'static str,
        reply: String,
    },
    #[error("malformed reply of {0}")]
    Malformed(String),
    /// The reply is larger than this limit, in bytes.
    #[error("reply larger than {0} bytes")]
    TooLarge(usize),
    /// The module's calls hold as much as they may.
    #[error("the module's calls hold more than {}m", budget::MOST >> 20)]
    NoRoom,
    /// The worker has as many connections as it may.
    #[error("too many Redis connections")]
    TooMany,
    #[error("{0}")]
    Timeout(Error),
}
