//! What a proxy offers to guests of every kind, by names: what no ABI has as its own.

use thiserror::Error;

use crate::level::LogLevel;

/// Why a proxy does not do what a guest asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ServiceError {
    /// The key, queue or variable does not exist.
    #[error("not found")]
    NotFound,
    /// A name or a number makes no sense there.
    #[error("bad argument")]
    BadArgument,
    /// The compare-and-swap number is another one by now.
    #[error("the value has changed")]
    CasMismatch,
    /// There is no room.
    #[error("no room")]
    NoRoom,
    /// The proxy does not have it, or not for this guest.
    #[error("not available")]
    Unavailable,
}

impl ServiceError {
    /// One word, for guests that are told by a text.
    pub fn word(self) -> &'static str {
        match self {
            ServiceError::NotFound => "not_found",
            ServiceError::BadArgument => "bad_argument",
            ServiceError::CasMismatch => "cas_mismatch",
            ServiceError::NoRoom => "no_room",
            ServiceError::Unavailable => "unavailable",
        }
    }
}

/// What a proxy offers to one call of a guest, whatever its kind. No method waits.
///
/// What a guest may use of it is the host's to ask ([`Capabilities`](crate::Capabilities)).
pub trait Services {
    /// Would a message of this level be written at all? Asked before the message is read.
    fn log_enabled(&self, level: LogLevel) -> bool;

    /// Writes one message; it need not be UTF-8.
    fn log(&self, level: LogLevel, message: &[u8]);

    /// The least level that is written.
    fn log_level(&self) -> LogLevel;

    /// Appends a shared value to `out`, which is empty, and answers its compare-and-swap number, which is never 0;
    /// `Err(NotFound)` when there is none.
    fn shared_data(&self, key: &[u8], out: &mut Vec<u8>) -> Result<u32, ServiceError> {
        let _ = (key, out);
        Err(ServiceError::Unavailable)
    }

    /// Sets a shared value. `cas` 0: whatever it is now; else `Err(CasMismatch)` when its number is another one.
    fn set_shared_data(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), ServiceError> {
        let _ = (key, value, cas);
        Err(ServiceError::Unavailable)
    }

    /// Puts a message into a shared queue. `Err(NotFound)`: no such queue.
    fn enqueue(&self, queue: &[u8], message: &[u8]) -> Result<(), ServiceError> {
        let _ = (queue, message);
        Err(ServiceError::Unavailable)
    }

    /// Adds to a counter, which is made if there is none, and answers its value then.
    fn increment_counter(&self, name: &[u8], by: u64) -> Result<u64, ServiceError> {
        let _ = (name, by);
        Err(ServiceError::Unavailable)
    }

    /// Appends a variable of the request to `out`, which is empty; `Err(NotFound)` when it has no value.
    fn variable(&self, name: &[u8], out: &mut Vec<u8>) -> Result<(), ServiceError> {
        let _ = (name, out);
        Err(ServiceError::Unavailable)
    }

    /// Sets a variable of the request. `Err(NotFound)`: there is none of this name; `Err(BadArgument)`: it cannot be
    /// set.
    fn set_variable(&self, name: &[u8], value: &[u8]) -> Result<(), ServiceError> {
        let _ = (name, value);
        Err(ServiceError::Unavailable)
    }
}
