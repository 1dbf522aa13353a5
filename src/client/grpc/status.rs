//! How a gRPC call ended: its status code and message.

use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode;
use proxy_wasm_host::OwnedPairs;

/// What the server has told at the end, or what is told in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// gRPC's status code.
    pub code: u32,
    pub message: Vec<u8>,
}

pub const OK: u32 = 0;
pub const CANCELLED: u32 = 1;
pub const UNKNOWN: u32 = 2;
pub const DEADLINE_EXCEEDED: u32 = 4;
pub const PERMISSION_DENIED: u32 = 7;
pub const RESOURCE_EXHAUSTED: u32 = 8;
pub const UNIMPLEMENTED: u32 = 12;
pub const INTERNAL: u32 = 13;
pub const UNAVAILABLE: u32 = 14;
pub const UNAUTHENTICATED: u32 = 16;

impl Ending {
    pub fn new(code: u32, message: impl Into<Vec<u8>>) -> Ending {
        Ending {
            code,
            message: message.into(),
        }
    }

    /// The status in trailers, or in the header of a response without trailers. `None`: there is
    /// none. One that is no number is unknown.
    pub fn told(map: &HeaderMap) -> Option<Ending> {
        let code = map.get("grpc-status")?;
        let code = code.to_str().ok().and_then(|code| code.parse().ok());
        let message = map.get("grpc-message").map(|text| text.as_bytes());
        Some(Ending {
            code: code.unwrap_or(UNKNOWN),
            // It is percent-encoded. SDKs fail with what is not UTF-8.
            message: percent_decode(message.unwrap_or_default())
                .decode_utf8_lossy()
                .into_owned()
                .into_bytes(),
        })
    }

    /// In place of gRPC's status, when there is only HTTP's: gRPC's
    /// `doc/http-grpc-status-mapping.md`.
    pub fn of_http(status: StatusCode) -> Ending {
        let code = match status.as_u16() {
            400 => INTERNAL,
            401 => UNAUTHENTICATED,
            403 => PERMISSION_DENIED,
            404 => UNIMPLEMENTED,
            429 | 502 | 503 | 504 => UNAVAILABLE,
            _ => UNKNOWN,
        };
        Ending::new(code, format!("HTTP status {}", status.as_u16()))
    }

    /// In place of gRPC's status, when the stream was reset: gRPC's `doc/PROTOCOL-HTTP2.md`,
    /// "Errors".
    pub fn of_reset(reason: h2::Reason) -> Ending {
        let code = match reason {
            h2::Reason::REFUSED_STREAM => UNAVAILABLE,
            h2::Reason::CANCEL => CANCELLED,
            h2::Reason::ENHANCE_YOUR_CALM => RESOURCE_EXHAUSTED,
            h2::Reason::INADEQUATE_SECURITY => PERMISSION_DENIED,
            _ => INTERNAL,
        };
        Ending::new(code, format!("stream reset: {}", reason.description()))
    }

    /// The trailing metadata that Envoy tells a stream where none have come: nothing in the middle
    /// of a response, and what a server would have sent in place of a whole one.
    pub fn in_place_of_trailers(&self, begun: bool) -> OwnedPairs {
        if begun {
            return Vec::new();
        }
        let pair = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
        vec![
            pair(b":status", b"200"),
            pair(b"content-type", b"application/grpc"),
            pair(b"grpc-status", self.code.to_string().as_bytes()),
            pair(b"grpc-message", &self.message),
        ]
    }
}
