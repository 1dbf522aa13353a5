//! What fails of a call, in the words of wasi:http.

use component_host::BodyError;

use crate::client::http1::exchange::Failure;
use crate::handler::service::outgoing::CallError;
use crate::message::stream::upload::Broken;
use crate::net::error::{Error, Wait};

/// Why a request has no response.
pub fn call_error(error: CallError) -> BodyError {
    match error {
        CallError::Denied(_) => BodyError::HttpRequestDenied,
        CallError::Url => BodyError::HttpRequestUriInvalid,
        CallError::Method => BodyError::HttpRequestMethodInvalid,
        CallError::Failed(Failure::Closed) => BodyError::ConnectionTerminated,
        CallError::Failed(failure) => body_error(failure),
    }
}

/// Why there is no more of a response's body.
pub fn body_error(failure: Failure) -> BodyError {
    match failure {
        Failure::Connection(error) => connection_error(error),
        Failure::Closed => BodyError::HttpResponseIncomplete,
        Failure::Malformed => BodyError::HttpProtocolError,
        Failure::HeaderTooLarge => BodyError::HttpResponseHeaderSectionSize(None),
        Failure::TooLarge(_) => BodyError::HttpResponseBodySize(None),
        Failure::RequestBody => BodyError::InternalError(Some(failure.to_string())),
        Failure::NoRoom => BodyError::ConnectionLimitReached,
    }
}

/// Why there is no more of the request's body, which has no code of its own.
pub fn upload_error(_: Broken) -> BodyError {
    BodyError::ConnectionTerminated
}

/// Numbers of the system's errors, as nginx writes them.
const REFUSED: &str = "111:";
const UNREACHABLE: [&str; 2] = ["101:", "113:"];
/// Those of DNS, and nginx's own beside them.
const NO_SUCH_NAME: &str = "3:";
const NO_ANSWER: &str = "110:";

fn connection_error(error: Error) -> BodyError {
    match error {
        Error::Connect { reason, .. } => match reason.as_str() {
            reason if reason.starts_with(REFUSED) => BodyError::ConnectionRefused,
            reason if UNREACHABLE.iter().any(|code| reason.starts_with(code)) => {
                BodyError::DestinationIpUnroutable
            }
            _ => BodyError::DestinationUnavailable,
        },
        Error::Io { .. } => BodyError::ConnectionTerminated,
        Error::Timeout { wait, .. } => match wait {
            Wait::Connect => BodyError::ConnectionTimeout,
            Wait::Send => BodyError::ConnectionWriteTimeout,
            Wait::Read => BodyError::ConnectionReadTimeout,
            Wait::Call => BodyError::HttpResponseTimeout,
        },
        Error::Dns { reason, .. } => match reason.as_str() {
            reason if reason.starts_with(NO_ANSWER) => BodyError::DnsTimeout,
            reason => BodyError::DnsError {
                rcode: Some(match reason.starts_with(NO_SUCH_NAME) {
                    true => "NXDOMAIN".to_owned(),
                    false => reason.to_owned(),
                }),
                info_code: None,
            },
        },
        Error::NoResolver { .. } => BodyError::ConfigurationError,
        Error::Tls { reason, .. } => match reason.contains("certificate") {
            true => BodyError::TlsCertificateError,
            false => BodyError::TlsProtocolError,
        },
        Error::NoLiveUpstream { .. } => BodyError::DestinationUnavailable,
        Error::NoConnection { .. } => BodyError::ConnectionLimitReached,
        Error::Internal { reason } => BodyError::InternalError(Some(reason)),
    }
}
