//! The enumerations of the Proxy-Wasm ABI, with the numbers that cross the guest's boundary.
//!
//! Source: `proxy-wasm/spec`, versions 0.1.0, 0.2.0 and 0.2.1; what is Higress' own: its SDK for Go
//! (`higress-group/proxy-wasm-go-sdk`, `proxywasm/internal`).

use std::fmt;

use guest_host::OutOfBounds;
use num_enum::TryFromPrimitive;

/// What every `env.proxy_*` import returns.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    Ok = 0,
    /// The key, property, buffer or id does not exist.
    NotFound = 1,
    /// An enumeration value or a range makes no sense, or not in this callback.
    BadArgument = 2,
    SerializationFailure = 3,
    ParseFailure = 4,
    /// A guest address or length lies outside of the guest's memory.
    InvalidMemoryAccess = 6,
    /// The queue is empty.
    Empty = 7,
    /// The compare-and-swap number differs.
    CasMismatch = 8,
    InternalFailure = 10,
    Unimplemented = 12,
}

/// A header map.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, TryFromPrimitive)]
#[num_enum(error_type(name = Status, constructor = bad_argument))]
pub enum MapType {
    RequestHeaders = 0,
    RequestTrailers,
    ResponseHeaders,
    ResponseTrailers,
    GrpcInitialMetadata,
    GrpcTrailingMetadata,
    /// Headers of the response to an HTTP call of the guest.
    CallHeaders,
    /// Trailers of the response to an HTTP call of the guest.
    CallTrailers,
}

/// A byte buffer.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, TryFromPrimitive)]
#[num_enum(error_type(name = Status, constructor = bad_argument))]
pub enum BufferType {
    RequestBody = 0,
    ResponseBody,
    DownstreamData,
    UpstreamData,
    /// Body of the response to an HTTP call of the guest.
    CallResponseBody,
    GrpcMessage,
    VmConfiguration,
    PluginConfiguration,
    ForeignArguments,
    /// The reply to a Redis call of the guest.
    RedisReply,
}

/// What `proxy_continue_stream` and `proxy_close_stream` act on.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, TryFromPrimitive)]
#[num_enum(error_type(name = Status, constructor = bad_argument))]
pub enum StreamType {
    Request = 0,
    Response,
    Downstream,
    Upstream,
}

/// What a metric records.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, TryFromPrimitive)]
#[num_enum(error_type(name = Status, constructor = bad_argument))]
pub enum MetricType {
    Counter = 0,
    Gauge,
    Histogram,
}

/// A guest's answer to a stream callback. What the numbers mean is Envoy's: `FilterHeadersStatus` and
/// `FilterDataStatus` of its `envoy/http/filter.h`, as its Wasm extension reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Continue,
    /// The number 1, of a body callback: what there is of the body is held back, and seen again with
    /// the next piece. Of a header callback: the header waits; whether the body does too is the
    /// proxy's matter (`StopIteration` of Envoy's, or `StopAllIteration`).
    Pause,
    /// The number 3 and above, of a header callback: header, body and trailers wait.
    PauseAll,
    /// The number 2, of a body callback: the piece is held back, and not seen again.
    PauseUnseen,
    /// The number 3 and above, of a body callback: the piece is dropped.
    Drop,
}

impl Action {
    /// Of a trailer callback: zero continues.
    pub(crate) fn from_trailers(value: u32) -> Action {
        match value {
            0 => Action::Continue,
            _ => Action::Pause,
        }
    }

    /// Of a header callback. 2 continues: Envoy's Wasm extension leaves out the second half of
    /// `ContinueAndEndStream`.
    pub(crate) fn from_headers(value: u32) -> Action {
        match value {
            0 | 2 => Action::Continue,
            1 => Action::Pause,
            _ => Action::PauseAll,
        }
    }

    /// Of a body callback.
    pub(crate) fn from_body(value: u32) -> Action {
        match value {
            0 => Action::Continue,
            1 => Action::Pause,
            2 => Action::PauseUnseen,
            _ => Action::Drop,
        }
    }
}

/// The ABI that a module was built for, told by a marker export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AbiVersion {
    V0_1_0,
    V0_2_0,
    V0_2_1,
    /// Higress' SDKs.
    V0_2_100,
}

impl AbiVersion {
    /// Does 1 of a header callback stop the header alone (Envoy's `StopIteration`)? Hosts take it for
    /// a stop of everything otherwise.
    pub fn stops_headers_alone(self) -> bool {
        self == AbiVersion::V0_2_100
    }
}

impl fmt::Display for AbiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AbiVersion::V0_1_0 => "0.1.0",
            AbiVersion::V0_2_0 => "0.2.0",
            AbiVersion::V0_2_1 => "0.2.1",
            AbiVersion::V0_2_100 => "0.2.100",
        })
    }
}

impl From<OutOfBounds> for Status {
    fn from(_: OutOfBounds) -> Status {
        Status::InvalidMemoryAccess
    }
}

/// A guest's number that is out of range.
fn bad_argument(_: u32) -> Status {
    Status::BadArgument
}
