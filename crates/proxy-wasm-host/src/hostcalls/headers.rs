//! Header maps.

use guest_host::memory::{parts, slice, slice_mut, write_u32};
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::{code, ending};
use crate::abi::{AbiVersion, MapType, Status};
use crate::calls::OwnedPairs;
use crate::codec::{self, Size, Writer};
use crate::memory::{Fault, Out, allocate, give_scratch};
use crate::state::State;
use crate::traits::{HttpStream, Proxy};

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker
        .func_wrap("env", "proxy_get_header_map_size", size::<P>)?
        .func_wrap("env", "proxy_get_header_map_pairs", get_pairs::<P>)?
        .func_wrap("env", "proxy_set_header_map_pairs", set_pairs::<P>)?
        .func_wrap("env", "proxy_get_header_map_value", get::<P>)?
        .func_wrap("env", "proxy_add_header_map_value", add::<P>)?
        .func_wrap("env", "proxy_replace_header_map_value", replace::<P>)?
        .func_wrap("env", "proxy_remove_header_map_value", remove::<P>)?;
    Ok(())
}

/// Is it a map of what has come in, which this crate has itself?
fn is_incoming(map: MapType) -> bool {
    match map {
        MapType::GrpcInitialMetadata
        | MapType::GrpcTrailingMetadata
        | MapType::CallHeaders
        | MapType::CallTrailers => true,
        MapType::RequestHeaders
        | MapType::RequestTrailers
        | MapType::ResponseHeaders
        | MapType::ResponseTrailers => false,
    }
}

/// The type of a map of a stream that is to be changed, and that stream. Outside of streams there
/// is none, and what has come in cannot be changed.
fn map<P: Proxy>(state: &State<P>, map: u32) -> Result<(MapType, &P::Stream), Status> {
    let map = MapType::try_from(map)?;
    match state.stream() {
        Some(stream) if !is_incoming(map) => Ok((map, stream)),
        _ => Err(Status::BadArgument),
    }
}

fn incoming<P: Proxy>(state: &State<P>, map: MapType) -> Option<&OwnedPairs> {
    state.incoming.as_ref()?.map(map)
}

/// Passes the first value of a key to `found`; false when it is missing. A map that is not there now
/// has none: SDKs end the guest on any status of a question but Ok and NotFound.
fn find<P: Proxy>(
    state: &State<P>,
    id: u32,
    key: &[u8],
    found: &mut dyn FnMut(&[u8]),
) -> Result<bool, Status> {
    let map = MapType::try_from(id)?;
    if !is_incoming(map) {
        return match state.stream() {
            Some(stream) => stream.map_get(map, key, found),
            None => Ok(false),
        };
    }
    let mut pairs = incoming(state, map).into_iter().flatten();
    let pair = pairs.find(|(k, _)| k.eq_ignore_ascii_case(key));
    if let Some((_, value)) = pair {
        found(value);
    }
    Ok(pair.is_some())
}

/// Visits the pairs of a map; of one that is not there now, as in Envoy, there are none.
fn visit<P: Proxy>(
    state: &State<P>,
    map: MapType,
    visit: &mut dyn FnMut(&[u8], &[u8]),
) -> Result<(), Status> {
    if is_incoming(map) {
        for (key, value) in incoming(state, map).into_iter().flatten() {
            visit(key, value);
        }
        return Ok(());
    }
    match state.stream() {
        Some(stream) => stream.map_visit(map, visit),
        None => Ok(()),
    }
}

fn measure<P: Proxy>(state: &State<P>, map: MapType) -> Result<Size, Status> {
    let mut size = Size::default();
    visit(state, map, &mut |key, value| size.add(key, value))?;
    Ok(size)
}

fn size<P: Proxy>(mut caller: Caller<'_, State<P>>, id: u32, out: u32) -> u32 {
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        let bytes = measure(state, MapType::try_from(id)?)?
            .bytes()
            .ok_or(Status::InternalFailure)?;
        Ok(write_u32(memory, out, bytes)?)
    };
    code(run())
}

fn get_pairs<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    id: u32,
    ptr: u32,
    len: u32,
) -> Result<u32> {
    ending(write_pairs(&mut caller, id, Out { ptr, len }))
}

/// Measures the map, lets the guest allocate, then writes the pairs straight into its memory.
fn write_pairs<P: Proxy>(
    caller: &mut Caller<'_, State<P>>,
    id: u32,
    out: Out,
) -> Result<(), Fault> {
    let (memory, state) = parts(caller)?;
    let map = MapType::try_from(id)?;
    out.check(memory)?;
    let size = measure(state, map)?;
    let bytes = size.bytes().ok_or(Status::InternalFailure)?;

    let address = allocate(caller, bytes)?;

    let (memory, state) = parts(caller)?;
    let mut writer = Writer::new(slice_mut(memory, address, bytes)?, size.pairs());
    visit(state, map, &mut |key, value| writer.add(key, value))?;
    if !writer.complete() {
        return Err(Status::InternalFailure.into());
    }
    out.write(memory, address, bytes)?;
    Ok(())
}

fn set_pairs<P: Proxy>(mut caller: Caller<'_, State<P>>, id: u32, ptr: u32, len: u32) -> u32 {
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        let (map, stream) = map(state, id)?;
        let pairs = codec::parse(slice(memory, ptr, len)?)?;
        stream.map_set_pairs(map, &pairs)
    };
    code(run())
}

fn get<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    id: u32,
    key: u32,
    key_len: u32,
    ptr: u32,
    len: u32,
) -> Result<u32> {
    ending(give_scratch(
        &mut caller,
        Out { ptr, len },
        |memory, state, value| {
            let key = slice(memory, key, key_len)?;
            let found = find(state, id, key, &mut |found| value.extend_from_slice(found))?;
            // The first version had no "missing".
            if found || state.abi == AbiVersion::V0_1_0 {
                Ok(())
            } else {
                Err(Status::NotFound)
            }
        },
    ))
}

fn add<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    id: u32,
    key: u32,
    key_len: u32,
    value: u32,
    value_len: u32,
) -> u32 {
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        let (map, stream) = map(state, id)?;
        let key = slice(memory, key, key_len)?;
        stream.map_add(map, key, slice(memory, value, value_len)?)
    };
    code(run())
}

fn replace<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    id: u32,
    key: u32,
    key_len: u32,
    value: u32,
    value_len: u32,
) -> u32 {
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        let (map, stream) = map(state, id)?;
        let key = slice(memory, key, key_len)?;
        stream.map_replace(map, key, slice(memory, value, value_len)?)
    };
    code(run())
}

fn remove<P: Proxy>(mut caller: Caller<'_, State<P>>, id: u32, key: u32, key_len: u32) -> u32 {
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        let (map, stream) = map(state, id)?;
        stream.map_remove(map, slice(memory, key, key_len)?)
    };
    code(run())
}
