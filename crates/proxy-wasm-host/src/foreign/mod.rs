//! Foreign functions: what a guest calls by name. Names, arguments and statuses are those of
//! Envoy's `source/extensions/common/wasm/foreign.cc`; `get_log_level`,
//! `set_global_max_requests_per_io_cycle` and those that inject data are those of gateways that build on
//! Envoy.
//!
//! One more is a function of the type [`Function`] and its line in [`named`]. Those of the proxy
//! come by [`Proxy::foreign_function`].

mod filter_state;
mod inject;
mod signature;
mod zlib;

pub(crate) use filter_state::{property, set_property};

use guest_host::Capability;

use crate::abi::Status;
use crate::memory::Fault;
use crate::state::State;
use crate::traits::{HttpStream, Proxy};

/// Takes the guest's arguments and appends the result to the last parameter, which is empty.
type Function<P> = fn(&mut State<P>, &[u8], &mut Vec<u8>) -> Result<(), Fault>;

fn named<P: Proxy>(name: &[u8]) -> Option<Function<P>> {
    Some(match name {
        b"compress" => |state, arguments, out| zlib::compress(state.guard(), arguments, out),
        b"uncompress" => |state, arguments, out| zlib::uncompress(state.guard(), arguments, out),
        b"verify_signature" => {
            |state, arguments, out| signature::verify(state.guard(), arguments, out)
        }
        b"set_envoy_filter_state" => |state, arguments, _| Ok(filter_state::set(state, arguments)?),
        b"declare_property" => |state, arguments, _| Ok(filter_state::declare(state, arguments)?),
        b"clear_route_cache" => |state, _, _| Ok(clear_route_cache(state)?),
        b"inject_encoded_data_to_filter_chain"
        | b"inject_encoded_data_to_filter_chain_on_header" => {
            |state, arguments, _| Ok(inject::inject(state, arguments)?)
        }
        b"get_log_level" => |state, _, out| {
            out.extend_from_slice(&(state.proxy.log_level() as u32).to_le_bytes());
            Ok(())
        },
        b"set_global_max_requests_per_io_cycle" => |_, arguments, _| Ok(io_cycle(arguments)?),
        _ => return None,
    })
}

/// What a function needs; `resolve` is the proxies' name for a question to DNS.
fn check<P: Proxy>(state: &mut State<P>, name: &[u8], arguments: &[u8]) -> Result<(), Status> {
    let function = match name {
        b"set_envoy_filter_state" => "set_envoy_filter_state",
        b"declare_property" => "declare_property",
        b"resolve" => return state.require_host("resolve", arguments),
        _ => return Ok(()),
    };
    state.require(Capability::PropertiesWrite, function)
}

/// What takes long looks at the clock (`Guard::check`) on its way, and ends as the guest itself would.
///
/// `NotFound` when there is no such function.
pub(crate) fn call<P: Proxy>(
    state: &mut State<P>,
    name: &[u8],
    arguments: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    check(state, name, arguments)?;
    if let Some(function) = named(name) {
        return function(state, arguments, out);
    }
    let current = state.current().ok_or(Status::NotFound)?;
    let (root, stream) = (current.root, current.stream);
    let proxy = &state.proxy;
    let result = proxy.foreign_function(root, stream, name, arguments, out);
    Ok(result.unwrap_or(Err(Status::NotFound))?)
}

/// How many requests of a connection the proxy may begin before it looks at others: a number of eight
/// bytes, little-endian. It is taken, and the proxy shares its time as it does.
///
/// `BadArgument`: no such number.
fn io_cycle(arguments: &[u8]) -> Result<(), Status> {
    match arguments.len() {
        8 => Ok(()),
        _ => Err(Status::BadArgument),
    }
}

/// Outside of a stream there is no route, which is no error in Envoy.
fn clear_route_cache<P: Proxy>(state: &State<P>) -> Result<(), Status> {
    match state.stream() {
        Some(stream) => stream.clear_route_cache(),
        None => Ok(()),
    }
}
