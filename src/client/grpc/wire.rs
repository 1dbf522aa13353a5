//! gRPC on HTTP/2: the header of a request, and a message within its body.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Uri};
use proxy_wasm_host::{GrpcCall, Status};

use crate::client::http1::request::{add, field, remove_hop_by_hop};

/// The head of a request, as gRPC's `doc/PROTOCOL-HTTP2.md` has it.
pub struct Head {
    uri: Uri,
    headers: HeaderMap,
}

impl Head {
    /// `authority`: the name of the server. `Err(BadArgument)`: the service, the method or the
    /// metadata cannot stand in a header.
    ///
    /// Metadata goes as the guest gave it, as in Envoy: a binary value (`-bin`) is encoded already.
    pub fn new(call: &GrpcCall<'_>, authority: &[u8], tls: bool) -> Result<Head, Status> {
        let path = [b"/", call.service, b"/", call.method].concat();
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
        uri.authority = Some(Authority::try_from(authority).map_err(bad)?);
        uri.path_and_query = Some(PathAndQuery::try_from(path).map_err(bad)?);

        let mut metadata = HeaderMap::with_capacity(call.initial_metadata.len());
        for &(name, value) in call.initial_metadata {
            let (name, value) = field(name, value)?;
            add(&mut metadata, name, value)?;
        }
        remove_hop_by_hop(&mut metadata);
        for name in [HOST, CONTENT_LENGTH, CONTENT_TYPE] {
            metadata.remove(name);
        }

        let mut headers = HeaderMap::with_capacity(metadata.len() + 3);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        if !call.timeout.is_zero() {
            metadata.remove("grpc-timeout");
            let timeout = timeout(call.timeout);
            headers.insert("grpc-timeout", HeaderValue::try_from(timeout).map_err(bad)?);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.extend(metadata);
        Ok(Head {
            uri: Uri::from_parts(uri).map_err(bad)?,
            headers,
        })
    }

    /// A request with this head; a stream that was never begun may have to be begun again.
    pub fn request<B>(&self, body: B) -> http::Request<B> {
        let mut request = http::Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// At most eight digits and a unit.
fn timeout(duration: Duration) -> String {
    const MAX: u128 = 99_999_999;
    let milliseconds = duration.as_nanos().div_ceil(1_000_000);
    let units = [(1, 'm'), (1000, 'S'), (60_000, 'M'), (3_600_000, 'H')];
    for (unit, letter) in units {
        let count = milliseconds.div_ceil(unit);
        if count <= MAX {
            return format!("{count}{letter}");
        }
    }
    format!("{MAX}H")
}

/// A message with gRPC's five bytes before it: not compressed, and its length.
pub fn frame(message: &[u8]) -> Result<Bytes, Status> {
    let len = u32::try_from(message.len()).map_err(bad)?;
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(len);
    frame.put_slice(message);
    Ok(frame.freeze())
}

/// Is this the content type of a gRPC response?
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    match content_type.and_then(|value| value.strip_prefix(b"application/grpc")) {
        Some(rest) => matches!(rest, [] | [b'+' | b';', ..]),
        None => false,
    }
}

fn bad<E>(_: E) -> Status {
    Status::BadArgument
}
