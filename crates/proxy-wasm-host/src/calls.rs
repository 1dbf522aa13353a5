//! Outbound calls: what a guest asks for, and what it is told.

use std::time::Duration;

use crate::ids::ContextId;

/// Header pairs as a guest gave them: names and values are unchecked bytes.
pub type Pairs<'a> = &'a [(&'a [u8], &'a [u8])];

/// An HTTP request that a guest wants made (`proxy_http_call`).
#[derive(Clone, Copy, Debug)]
pub struct HttpCall<'a> {
    /// As the guest names it.
    pub upstream: &'a [u8],
    /// In the guest's order, with `:method`, `:path` and `:authority` among them.
    pub headers: Pairs<'a>,
    pub body: &'a [u8],
    pub trailers: Pairs<'a>,
    /// Bounds the whole call; zero for the proxy's own limits alone.
    pub timeout: Duration,
}

/// A gRPC request that a guest wants made (`proxy_grpc_call`), or a stream that it wants opened
/// (`proxy_grpc_stream`).
#[derive(Clone, Copy, Debug)]
pub struct GrpcCall<'a> {
    /// As the guest names it; Envoy's serialized `GrpcService` is unpacked before.
    pub upstream: &'a [u8],
    /// `package.Service`
    pub service: &'a [u8],
    pub method: &'a [u8],
    pub initial_metadata: Pairs<'a>,
    /// The one message of a call; `None` opens a stream, whose messages come by `grpc_send`.
    pub message: Option<&'a [u8]>,
    /// Bounds a whole call; zero in streams, which have none.
    pub timeout: Duration,
}

/// A Redis service that a guest is going to call (`proxy_redis_init`).
#[derive(Clone, Copy, Debug)]
pub struct RedisService<'a> {
    /// As the guest names it, with parameters behind a `?`.
    pub name: &'a [u8],
    /// Both are empty where the server asks for none.
    pub username: &'a [u8],
    pub password: &'a [u8],
    /// Bounds each call; zero for the proxy's own limits alone.
    pub timeout: Duration,
}

/// A command for a Redis server (`proxy_redis_call`).
#[derive(Clone, Copy, Debug)]
pub struct RedisCall<'a> {
    /// The root context of the caller.
    pub root: ContextId,
    /// As in [`RedisService::name`].
    pub service: &'a [u8],
    /// RESP as the guest wrote it, unchecked.
    pub query: &'a [u8],
}

/// What came of a Redis call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisReply {
    /// The reply in RESP, which may be an error of the server's.
    Reply(Vec<u8>),
    /// None has come, or none that could be taken.
    Failed,
}

/// Header pairs that the host has received.
pub type OwnedPairs = Vec<(Vec<u8>, Vec<u8>)>;

/// What came of an HTTP call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallResponse {
    /// `:status` first. Without any, the call has failed.
    pub headers: OwnedPairs,
    pub body: Vec<u8>,
    pub trailers: OwnedPairs,
    /// Why the call has failed, for the property `call.error`; empty when it has not.
    pub error: String,
}

/// What comes of a gRPC call or stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrpcEvent {
    InitialMetadata(OwnedPairs),
    /// One message, without gRPC's five bytes before it.
    Message(Vec<u8>),
    TrailingMetadata(OwnedPairs),
    /// The call or stream is over; nothing comes behind it.
    Close {
        /// gRPC's status code, 0 for OK.
        status: u32,
        message: Vec<u8>,
    },
}
