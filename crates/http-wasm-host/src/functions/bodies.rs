//! The bodies of request and response.

use guest_host::memory::{parts, slice_mut};
use wasm_runtime::wasmtime::{Caller, Result};

use super::memory;
use crate::error::Misuse;
use crate::exchange::{BodyKind, Exchange, Proxy};
use crate::features::Features;
use crate::state::{Serving, Stage, State};

/// Copies the next bytes of a body into the guest's buffer: their number in the lower half of the result, and in the upper
/// 1 at the end, which is told by a buffer that does not become full.
pub fn read<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    kind: u32,
    buffer: u32,
    limit: u32,
) -> Result<u64> {
    let kind = BodyKind::of(kind)?;
    let (memory, state) = parts(&mut caller)?;
    let serving = &mut state.serving;
    serving.exchange()?;
    if limit == 0 {
        return Err(Misuse::NoLimit.into());
    }
    let buffer = slice_mut(memory, buffer, limit)?;
    let len = match kind {
        BodyKind::Request => read_request(serving, buffer)?,
        BodyKind::Response => read_response(serving, buffer)?,
    };
    let end = len < buffer.len();
    // No more than the limit, which has 32 bits.
    Ok(u64::from(end) << 32 | len as u64)
}

/// Without the feature, what is read is not there for the next handler.
fn read_request<E: Exchange>(serving: &mut Serving<E>, buffer: &mut [u8]) -> Result<usize, Misuse> {
    let buffers = serving.features.has(Features::BUFFER_REQUEST);
    if serving.stage == Stage::Response {
        return match buffers {
            // The next handler has read the rest.
            true => Ok(0),
            false => Err(Misuse::LateWithout("the request's body", "buffer_request")),
        };
    }
    let from = serving.request_read;
    let read = serving
        .exchange()?
        .read_body(BodyKind::Request, from, buffer);
    let len = read.map_err(|_| Misuse::Unreadable)?;
    serving.request_read += len;
    if !buffers {
        serving.eaten = serving.request_read;
    }
    Ok(len)
}

/// Before the next handler, it is what the guest has written itself.
fn read_response<E: Exchange>(
    serving: &mut Serving<E>,
    buffer: &mut [u8],
) -> Result<usize, Misuse> {
    let from = serving.response_read;
    let len = match serving.is_response("the response's body")? {
        true => {
            let read = serving
                .exchange()?
                .read_body(BodyKind::Response, from, buffer);
            read.map_err(|_| Misuse::Unreadable)?
        }
        false => {
            let rest = serving.answer.body.get(from..).unwrap_or_default();
            let len = rest.len().min(buffer.len());
            buffer[..len].copy_from_slice(&rest[..len]);
            len
        }
    };
    serving.response_read += len;
    Ok(len)
}

/// Writes a body anew, and adds to it from the second call on.
pub fn write<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    kind: u32,
    bytes: u32,
    len: u32,
) -> Result<()> {
    let kind = BodyKind::of(kind)?;
    let (guest_memory, state) = parts(&mut caller)?;
    let serving = &mut state.serving;
    let replaces = match kind {
        BodyKind::Request => serving.before_next("the request's body").map(|_| true)?,
        BodyKind::Response => serving.is_response("the response's body")?,
    };
    let bytes = memory::read(guest_memory, bytes, len)?;
    let before = match replaces {
        true => serving.written(kind).as_ref().map_or(0, Vec::len),
        false => serving.answer.body.len(),
    };
    if !serving.exchange()?.takes_body(kind, before + bytes.len()) {
        return Ok(());
    }
    match replaces {
        true => serving.written(kind).get_or_insert_default(),
        false => &mut serving.answer.body,
    }
    .extend_from_slice(bytes);
    Ok(())
}
