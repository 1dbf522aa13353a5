//! HTTP calls.

use std::time::Duration;

use guest_host::Capability;
use guest_host::memory::{parts, slice, write_u32};
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::code;
use crate::abi::Status;
use crate::calls::HttpCall;
use crate::codec::{self, Pair};
use crate::pending::CallKind;
use crate::state::State;
use crate::traits::Proxy;

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker.func_wrap("env", "proxy_http_call", http_call::<P>)?;
    Ok(())
}

const REQUIRED: [&[u8]; 3] = [b":method", b":path", b":authority"];

/// Checks that a request is complete. As in Envoy's header maps, `host` is `:authority` by another
/// name.
fn complete(headers: &mut [Pair<'_>]) -> Result<(), Status> {
    let find = |headers: &[Pair<'_>], name: &[u8]| {
        let is = |pair: &Pair<'_>| pair.0.eq_ignore_ascii_case(name);
        headers.iter().position(is)
    };
    if find(headers, b":authority").is_none()
        && let Some(host) = find(headers, b"host")
    {
        headers[host].0 = b":authority";
    }
    if REQUIRED.iter().all(|name| find(headers, name).is_some()) {
        Ok(())
    } else {
        Err(Status::BadArgument)
    }
}

#[allow(clippy::too_many_arguments)]
fn http_call<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    upstream: u32,
    upstream_len: u32,
    headers: u32,
    headers_len: u32,
    body: u32,
    body_len: u32,
    trailers: u32,
    trailers_len: u32,
    timeout: u32,
    id: u32,
) -> u32 {
    let function = "proxy_http_call";
    let mut run = || {
        caller.data_mut().require(Capability::HttpCall, function)?;
        let (memory, state) = parts(&mut caller)?;
        // No call is made whose id cannot be told.
        slice(memory, id, 4)?;
        let upstream = slice(memory, upstream, upstream_len)?;
        state.require_upstream(Capability::HttpCall, function, upstream)?;
        let headers = slice(memory, headers, headers_len)?;
        let body = slice(memory, body, body_len)?;
        let trailers = slice(memory, trailers, trailers_len)?;
        // A signed number for the reference host, which refuses a negative one.
        if i32::try_from(timeout).is_err() {
            return Err(Status::BadArgument);
        }
        let mut headers = codec::parse(headers)?;
        complete(&mut headers)?;
        let call = HttpCall {
            upstream,
            headers: &headers,
            body,
            trailers: &codec::parse(trailers)?,
            timeout: Duration::from_millis(timeout.into()),
        };
        let number = state.start_call(CallKind::Http, |proxy, stream, id| {
            let result = proxy.http_call(stream, id, &call);
            result.map_err(|status| match status {
                Status::BadArgument => status,
                _ => Status::InternalFailure,
            })
        })?;
        Ok(write_u32(memory, id, number.get())?)
    };
    code(run())
}
