//! `set_envoy_filter_state` and `declare_property`: values of one request that later filters and
//! the proxy see.
//!
//! The name of a declared property is `wasm.` and what the guest says, as in Envoy
//! (`CelStateKeyPrefix`). All values live as long as the request, whatever span was asked for.

use prost::Message;

use crate::abi::Status;
use crate::state::State;
use crate::traits::{HttpStream, Proxy};

/// Envoy's `ext/set_envoy_filter_state.proto`.
#[derive(Message)]
struct SetArguments {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(string, tag = "2")]
    value: String,
    #[prost(int32, tag = "3")]
    span: i32,
}

/// Envoy's `ext/declare_property.proto`.
#[derive(Message)]
struct DeclareArguments {
    #[prost(string, tag = "1")]
    name: String,
    /// It can be set once per request.
    #[prost(bool, tag = "2")]
    readonly: bool,
    /// Type and schema are for Envoy's own readers of a value; a guest's are bytes.
    #[prost(int32, tag = "3")]
    r#type: i32,
    #[prost(bytes = "vec", tag = "4")]
    schema: Vec<u8>,
    #[prost(int32, tag = "5")]
    span: i32,
}

/// `BadArgument`: no such message. `NotFound`: there is no stream, or no name.
pub(super) fn set<P: Proxy>(state: &State<P>, arguments: &[u8]) -> Result<(), Status> {
    let arguments = SetArguments::decode(arguments).map_err(|_| Status::BadArgument)?;
    let stream = state.stream().ok_or(Status::NotFound)?;
    if arguments.path.is_empty() {
        return Err(Status::NotFound);
    }
    stream.set_filter_state(arguments.path.as_bytes(), arguments.value.as_bytes())
}

/// `BadArgument`: no such message, a name that is too long, or declared already.
pub(super) fn declare<P: Proxy>(state: &mut State<P>, arguments: &[u8]) -> Result<(), Status> {
    let arguments = DeclareArguments::decode(arguments).map_err(|_| Status::BadArgument)?;
    let root = state.current().ok_or(Status::BadArgument)?.root;
    let name = arguments.name.into_bytes();
    state.declared.declare(root, name, arguments.readonly)
}

/// Where a property's value is in the filter state.
fn key(name: &[u8]) -> Vec<u8> {
    [b"wasm.", name].concat()
}

/// Reads a property, declared or not, that a filter has set as a declared one.
pub(crate) fn property<S: HttpStream>(
    stream: &S,
    name: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    stream.property(&[b"filter_state", &key(name)], out)
}

/// Sets a declared property; `None` when this is none. `BadArgument`: it is read-only and set
/// already.
pub(crate) fn set_property<P: Proxy>(
    state: &State<P>,
    name: &[u8],
    value: &[u8],
) -> Option<Result<(), Status>> {
    let current = state.current()?;
    let stream = current.stream?;
    let readonly = state.declared.get(current.root, name)?;
    if readonly && property(stream, name, &mut Vec::new()).is_ok() {
        return Some(Err(Status::BadArgument));
    }
    Some(stream.set_filter_state(&key(name), value))
}
