//! What resumes, ends or answers a stream, and the contexts' own functions.

use guest_host::memory::{parts, slice};
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::code;
use crate::abi::{Status, StreamType};
use crate::codec;
use crate::ids::ContextId;
use crate::state::State;
use crate::traits::{HttpStream, LocalResponse, Proxy};

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker
        .func_wrap("env", "proxy_continue_stream", continue_stream::<P>)?
        .func_wrap("env", "proxy_close_stream", close_stream::<P>)?
        // 0.1.0's names.
        .func_wrap(
            "env",
            "proxy_continue_request",
            |caller: Caller<'_, State<P>>| continue_stream(caller, StreamType::Request as u32),
        )?
        .func_wrap(
            "env",
            "proxy_continue_response",
            |caller: Caller<'_, State<P>>| continue_stream(caller, StreamType::Response as u32),
        )?
        .func_wrap(
            "env",
            "proxy_clear_route_cache",
            |caller: Caller<'_, State<P>>| {
                code(stream(caller.data()).and_then(HttpStream::clear_route_cache))
            },
        )?
        .func_wrap("env", "proxy_send_local_response", send_local_response::<P>)?
        .func_wrap(
            "env",
            "proxy_inject_encoded_data_to_filter_chain",
            inject_response_body::<P>,
        )?
        .func_wrap(
            "env",
            "proxy_set_effective_context",
            set_effective_context::<P>,
        )?
        .func_wrap("env", "proxy_done", done::<P>)?;
    Ok(())
}

fn stream<P: Proxy>(state: &State<P>) -> Result<&P::Stream, Status> {
    state.stream().ok_or(Status::BadArgument)
}

fn continue_stream<P: Proxy>(caller: Caller<'_, State<P>>, id: u32) -> u32 {
    let run = || stream(caller.data())?.continue_stream(StreamType::try_from(id)?);
    code(run())
}

fn close_stream<P: Proxy>(mut caller: Caller<'_, State<P>>, id: u32) -> u32 {
    let run = || stream(caller.data())?.close_stream(StreamType::try_from(id)?);
    let result = run();
    ends_stream(&mut caller, result)
}

/// The host has something to do before the next callback.
fn interrupt<P: Proxy>(caller: &mut Caller<'_, State<P>>) {
    if let Some(stop) = caller.data().joined {
        stop.set(caller);
    }
}

/// The same where the guest has asked for the end of its stream.
fn ends_stream<P: Proxy>(caller: &mut Caller<'_, State<P>>, result: Result<(), Status>) -> u32 {
    if result.is_ok() {
        let state = caller.data_mut();
        state.ends_stream = state.current().map(|current| current.id);
        interrupt(caller);
    }
    code(result)
}

/// As in Higress (`higress-group/proxy-wasm-go-sdk`, `abi_hostcalls.go`).
fn inject_response_body<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    body: u32,
    body_len: u32,
    end: u32,
) -> u32 {
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        let body = slice(memory, body, body_len)?;
        stream(state)?.inject_response_body(body, end != 0)
    };
    code(run())
}

/// It holds until the callback ends.
fn set_effective_context<P: Proxy>(mut caller: Caller<'_, State<P>>, id: u32) -> u32 {
    let result = caller.data_mut().set_effective(ContextId::new(id));
    interrupt(&mut caller);
    code(result)
}

/// What follows comes behind the callback.
fn done<P: Proxy>(mut caller: Caller<'_, State<P>>) -> u32 {
    let result = caller.data_mut().done();
    interrupt(&mut caller);
    code(result)
}

#[allow(clippy::too_many_arguments)]
fn send_local_response<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    status: u32,
    details: u32,
    details_len: u32,
    body: u32,
    body_len: u32,
    headers: u32,
    headers_len: u32,
    grpc_status: u32,
) -> u32 {
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        let stream = stream(state)?;
        let headers = codec::parse(slice(memory, headers, headers_len)?)?;
        stream.send_local_response(&LocalResponse {
            status,
            details: slice(memory, details, details_len)?,
            headers: &headers,
            body: slice(memory, body, body_len)?,
            // -1
            grpc_status: (grpc_status != u32::MAX).then_some(grpc_status),
        })
    };
    let result = run();
    ends_stream(&mut caller, result)
}
