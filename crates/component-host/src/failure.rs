//! Why there is no response, or not all of it.

use http::StatusCode;
use wasm_runtime::OutOfTime;
use wasmtime::PoolConcurrencyLimitError;
use wasmtime_wasi::I32Exit;

use crate::body::BodyError;
use crate::state::State;

/// Why there is no response, or not all of it. Displays as one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The guest has trapped: why, and where.
    #[error("{0}")]
    Trapped(String),
    /// It has used up its processor time.
    #[error("{0}")]
    OutOfTime(String),
    /// It has exited.
    #[error("the component has exited with code {0}")]
    Exited(i32),
    /// It has returned without a response.
    #[error("the component has set no response")]
    NoResponse,
    /// It has answered an error of wasi:http.
    #[error("the component answers the error: {text}")]
    Error { text: String, status: StatusCode },
    /// It has answered an error of Redis' for a message.
    #[error("the component answers the error: {0}")]
    Message(String),
    /// There are as many instances as there can be.
    #[error("no more instances: {0}")]
    Busy(String),
    /// The call was dropped.
    #[error("the call was given up")]
    Dropped,
}

impl Failure {
    pub(crate) fn of(error: &wasmtime::Error, state: &State) -> Failure {
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return Failure::Exited(exit.0);
        }
        if let Some(limit) = error.downcast_ref::<PoolConcurrencyLimitError>() {
            return Failure::Busy(limit.to_string());
        }
        let reason = state.guard.reason(error);
        match error.is::<OutOfTime>() {
            true => Failure::OutOfTime(reason),
            false => Failure::Trapped(reason),
        }
    }

    /// What the guest has answered in place of a response.
    pub(crate) fn answered(error: &BodyError) -> Failure {
        use BodyError::*;
        let status = match error {
            DnsTimeout
            | ConnectionTimeout
            | ConnectionReadTimeout
            | ConnectionWriteTimeout
            | HttpResponseTimeout => StatusCode::GATEWAY_TIMEOUT,
            DnsError { .. }
            | DestinationNotFound
            | DestinationUnavailable
            | DestinationIpProhibited
            | DestinationIpUnroutable
            | ConnectionRefused
            | ConnectionTerminated
            | ConnectionLimitReached
            | TlsProtocolError
            | TlsCertificateError
            | TlsAlertReceived { .. }
            | HttpResponseIncomplete
            | HttpProtocolError => StatusCode::BAD_GATEWAY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure::Error {
            text: error.to_string(),
            status,
        }
    }

    /// The status for a client that has got no response yet.
    pub fn status(&self) -> StatusCode {
        match self {
            Failure::Error { status, .. } => *status,
            Failure::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Failure::OutOfTime(_) => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
