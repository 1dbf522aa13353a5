//! The request's line, and where it comes from.

use guest_host::memory::parts;
use wasm_runtime::wasmtime::{Caller, Result};

use super::memory::{give, read};
use crate::error::Misuse;
use crate::exchange::{Exchange, Proxy};
use crate::state::State;

/// A value of the request's: as `give` does, from what is passed on.
#[inline]
fn give_of<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    buffer: u32,
    limit: u32,
    value: impl FnOnce(&P::Exchange, &mut dyn FnMut(&[u8])),
) -> Result<u32> {
    let (memory, state) = parts(&mut caller)?;
    let exchange = state.serving.exchange()?;
    let mut given = Ok(0);
    value(exchange, &mut |value| {
        given = give(memory, buffer, limit, value);
    });
    Ok(given?)
}

pub fn get_method<P: Proxy>(caller: Caller<'_, State<P>>, buffer: u32, limit: u32) -> Result<u32> {
    give_of(caller, buffer, limit, |exchange, found| {
        exchange.method(found);
    })
}

pub fn set_method<P: Proxy>(mut caller: Caller<'_, State<P>>, method: u32, len: u32) -> Result<()> {
    let (memory, state) = parts(&mut caller)?;
    let exchange = state.serving.before_next("the method")?;
    let set = match read(memory, method, len)? {
        [] => return Err(Misuse::EmptyMethod.into()),
        method => exchange.set_method(method),
    };
    Ok(set.map_err(|_| Misuse::Method)?)
}

/// Path and query; `/` where there is neither.
pub fn get_uri<P: Proxy>(caller: Caller<'_, State<P>>, buffer: u32, limit: u32) -> Result<u32> {
    give_of(caller, buffer, limit, |exchange, found| {
        exchange.uri(&mut |uri| match uri {
            [] => found(b"/"),
            uri => found(uri),
        });
    })
}

pub fn set_uri<P: Proxy>(mut caller: Caller<'_, State<P>>, uri: u32, len: u32) -> Result<()> {
    let (memory, state) = parts(&mut caller)?;
    let exchange = state.serving.before_next("the URI")?;
    let set = match read(memory, uri, len)? {
        [] => exchange.set_uri(b"/"),
        uri => exchange.set_uri(uri),
    };
    Ok(set.map_err(|_| Misuse::Uri)?)
}

pub fn get_version<P: Proxy>(caller: Caller<'_, State<P>>, buffer: u32, limit: u32) -> Result<u32> {
    give_of(caller, buffer, limit, |exchange, found| {
        exchange.protocol_version(found);
    })
}

pub fn get_source_addr<P: Proxy>(
    caller: Caller<'_, State<P>>,
    buffer: u32,
    limit: u32,
) -> Result<u32> {
    give_of(caller, buffer, limit, |exchange, found| {
        exchange.source_addr(found);
    })
}
