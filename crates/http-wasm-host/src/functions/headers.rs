//! Headers and trailers, by kind and name.

use guest_host::memory::parts;
use wasm_runtime::wasmtime::{Caller, Result};

use super::memory::{give_list, read};
use crate::error::Misuse;
use crate::exchange::{Exchange, HeaderKind, Proxy};
use crate::state::{Serving, Stage, State};

/// Largest capacity that is kept for the next list, in bytes.
const KEPT: usize = 64 << 10;

/// Where the headers of a kind are.
enum Place {
    /// With the proxy.
    Proxy,
    /// In what the guest has said of the response before next.
    Answer,
}

fn place<E>(serving: &Serving<E>, kind: HeaderKind) -> Place {
    match (kind, serving.stage) {
        (HeaderKind::Response, Stage::Request) => Place::Answer,
        _ => Place::Proxy,
    }
}

/// Where they are, if they may be changed at this time.
fn changed<E: Exchange>(serving: &Serving<E>, kind: HeaderKind) -> Result<Place, Misuse> {
    match kind {
        HeaderKind::Request => serving.before_next("a request header").map(drop),
        HeaderKind::RequestTrailers => serving.before_next("a request trailer").map(drop),
        HeaderKind::Response => serving.is_response("a response header").map(drop),
        HeaderKind::ResponseTrailers => serving.is_response("a response trailer").map(drop),
    }?;
    Ok(place(serving, kind))
}

/// The names of all headers, in lower case, sorted, each once.
pub fn get_names<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    kind: u32,
    buffer: u32,
    limit: u32,
) -> Result<u64> {
    let kind = HeaderKind::of(kind)?;
    let (memory, state) = parts(&mut caller)?;
    let exchange = state.serving.exchange()?;
    let (text, ranges) = (&mut state.scratch, &mut state.ranges);
    text.clear();
    ranges.clear();
    let mut push = |name: &[u8]| {
        ranges.push((text.len() as u32, name.len() as u32));
        text.extend_from_slice(name);
    };
    match place(&state.serving, kind) {
        Place::Answer => state.serving.answer.names(push),
        Place::Proxy => exchange.names(kind, &mut push),
    }
    let name = |range: &(u32, u32)| {
        let start = range.0 as usize;
        text.get(start..start + range.1 as usize)
            .unwrap_or_default()
    };
    ranges.sort_unstable_by(|one, other| name(one).cmp(name(other)));
    ranges.dedup_by(|one, other| name(one) == name(other));
    let names = text.len();
    for &(start, len) in ranges.iter() {
        let start = start as usize;
        text.extend_from_within(start..start + len as usize);
        text.push(0);
    }
    let given = give_list(memory, buffer, limit, ranges.len(), &text[names..]);
    if text.capacity() > KEPT {
        *text = Vec::new();
        *ranges = Vec::new();
    }
    Ok(given?)
}

/// The values of all headers of this name.
pub fn get_values<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    kind: u32,
    name: u32,
    name_len: u32,
    buffer: u32,
    limit: u32,
) -> Result<u64> {
    let kind = HeaderKind::of(kind)?;
    let (memory, state) = parts(&mut caller)?;
    let exchange = state.serving.exchange()?;
    let (text, mut count) = (&mut state.scratch, 0);
    text.clear();
    let mut push = |value: &[u8]| {
        count += 1;
        text.extend_from_slice(value);
        text.push(0);
    };
    let name = header_name(memory, name, name_len)?;
    match place(&state.serving, kind) {
        Place::Answer => state.serving.answer.values(name, push),
        Place::Proxy => exchange.values(kind, name, &mut push),
    }
    let given = give_list(memory, buffer, limit, count, text);
    if text.capacity() > KEPT {
        *text = Vec::new();
    }
    Ok(given?)
}

/// What a guest does with a header.
#[derive(Clone, Copy)]
enum Change {
    Set,
    Add,
}

/// Leaves one header of this name, with this value.
pub fn set_value<P: Proxy>(
    caller: Caller<'_, State<P>>,
    kind: u32,
    name: u32,
    name_len: u32,
    value: u32,
    value_len: u32,
) -> Result<()> {
    change(
        caller,
        Change::Set,
        kind,
        [name, name_len, value, value_len],
    )
}

/// Adds a header behind others of this name.
pub fn add_value<P: Proxy>(
    caller: Caller<'_, State<P>>,
    kind: u32,
    name: u32,
    name_len: u32,
    value: u32,
    value_len: u32,
) -> Result<()> {
    change(
        caller,
        Change::Add,
        kind,
        [name, name_len, value, value_len],
    )
}

#[inline]
fn change<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    change: Change,
    kind: u32,
    [name, name_len, value, value_len]: [u32; 4],
) -> Result<()> {
    let kind = HeaderKind::of(kind)?;
    let (memory, state) = parts(&mut caller)?;
    let serving = &mut state.serving;
    let place = changed(serving, kind)?;
    let name = header_name(memory, name, name_len)?;
    let value = read(memory, value, value_len)?;
    let exchange = serving.exchange()?;
    match (place, change) {
        (Place::Proxy, Change::Set) => exchange.set_header(kind, name, value),
        (Place::Proxy, Change::Add) => exchange.add_header(kind, name, value),
        (Place::Answer, _) if !exchange.takes_header(name.len() + value.len()) => {}
        (Place::Answer, Change::Set) => serving.answer.set(name, value),
        (Place::Answer, Change::Add) => serving.answer.add(name, value),
    }
    Ok(())
}

/// Drops all headers of this name.
pub fn remove<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    kind: u32,
    name: u32,
    name_len: u32,
) -> Result<()> {
    let kind = HeaderKind::of(kind)?;
    let (memory, state) = parts(&mut caller)?;
    let serving = &mut state.serving;
    let place = changed(serving, kind)?;
    let name = header_name(memory, name, name_len)?;
    match place {
        Place::Proxy => serving.exchange()?.remove_header(kind, name),
        Place::Answer => serving.answer.remove(name),
    }
    Ok(())
}

fn header_name(memory: &[u8], ptr: u32, len: u32) -> Result<&[u8]> {
    match read(memory, ptr, len)? {
        [] => Err(Misuse::EmptyName.into()),
        name => Ok(name),
    }
}
