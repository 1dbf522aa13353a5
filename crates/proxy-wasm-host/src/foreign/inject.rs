//! `inject_encoded_data_to_filter_chain` and the same `…_on_header`: the host call of that name with its
//! arguments in a message. Envoy has two since the first acts at once, which it must not within a header
//! callback; here both are only recorded.

use prost::Message;

use crate::abi::Status;
use crate::state::State;
use crate::traits::{HttpStream, Proxy};

/// Higress' `ext/inject_encoded_data.proto`, whose body is a string: its SDK for Go writes no bytes that are not
/// UTF-8, others may.
#[derive(Message)]
struct Arguments {
    #[prost(bytes = "vec", tag = "1")]
    body: Vec<u8>,
    #[prost(bool, tag = "2")]
    end: bool,
}

/// `BadArgument`: no such message, or there is no response that data can go into.
pub(super) fn inject<P: Proxy>(state: &State<P>, arguments: &[u8]) -> Result<(), Status> {
    let arguments = Arguments::decode(arguments).map_err(|_| Status::BadArgument)?;
    let stream = state.stream().ok_or(Status::BadArgument)?;
    stream.inject_response_body(&arguments.body, arguments.end)
}
