//! gRPC calls and streams.
//!
//! Which ids are unknown (`NotFound`) and which are none of this kind (`BadArgument`) follows
//! Envoy's `Context::grpcSend`, `grpcClose` and `grpcCancel`.

use std::time::Duration;

use guest_host::Capability;
use guest_host::memory::{parts, slice, write_u32};
use prost::Message;
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::{code, ending};
use crate::abi::Status;
use crate::calls::GrpcCall;
use crate::codec;
use crate::ids::CallId;
use crate::memory::{Fault, Out, give};
use crate::pending::CallKind;
use crate::state::State;
use crate::traits::Proxy;

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker
        .func_wrap("env", "proxy_grpc_call", call::<P>)?
        .func_wrap("env", "proxy_grpc_stream", stream::<P>)?
        .func_wrap("env", "proxy_grpc_send", send::<P>)?
        .func_wrap("env", "proxy_grpc_cancel", cancel::<P>)?
        .func_wrap("env", "proxy_grpc_close", close::<P>)?
        .func_wrap("env", "proxy_get_status", status::<P>)?;
    Ok(())
}

/// Envoy's `envoy.config.core.v3.GrpcService`, as far as it names an upstream.
#[derive(Message)]
struct GrpcService {
    #[prost(message, optional, tag = "1")]
    envoy_grpc: Option<EnvoyGrpc>,
}

#[derive(Message)]
struct EnvoyGrpc {
    #[prost(bytes = "vec", tag = "1")]
    cluster_name: Vec<u8>,
}

/// The name in a serialized `GrpcService`; `None` when the bytes are the name themselves.
fn cluster_name(upstream: &[u8]) -> Option<Vec<u8>> {
    let name = GrpcService::decode(upstream).ok()?.envoy_grpc?.cluster_name;
    (!name.is_empty()).then_some(name)
}

/// Addresses and lengths of what a call and a stream have in common.
struct Target {
    function: &'static str,
    upstream: (u32, u32),
    service: (u32, u32),
    method: (u32, u32),
    metadata: (u32, u32),
}

impl Target {
    fn start<P: Proxy>(
        &self,
        memory: &mut [u8],
        state: &mut State<P>,
        message: Option<(u32, u32)>,
        timeout: u32,
        id: u32,
    ) -> Result<(), Status> {
        state.require(Capability::GrpcCall, self.function)?;
        // No call is made whose id cannot be told.
        slice(memory, id, 4)?;
        let bytes = |(ptr, len)| slice(memory, ptr, len);
        let upstream = bytes(self.upstream)?;
        let service = bytes(self.service)?;
        let method = bytes(self.method)?;
        let metadata = bytes(self.metadata)?;
        let message = message.map(bytes).transpose()?;
        let unpacked = cluster_name(upstream);
        let upstream = unpacked.as_deref().unwrap_or(upstream);
        state.require_upstream(Capability::GrpcCall, self.function, upstream)?;
        let call = GrpcCall {
            upstream,
            service,
            method,
            initial_metadata: &codec::parse(metadata)?,
            message,
            timeout: Duration::from_millis(timeout.into()),
        };
        let kind = match message {
            Some(_) => CallKind::Grpc,
            None => CallKind::GrpcStream,
        };
        let number = state.start_call(kind, |proxy, stream, id| {
            let result = proxy.grpc_call(stream, id, &call);
            result.map_err(|status| match status {
                Status::ParseFailure => status,
                _ => Status::InternalFailure,
            })
        })?;
        Ok(write_u32(memory, id, number.get())?)
    }
}

#[allow(clippy::too_many_arguments)]
fn call<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    upstream: u32,
    upstream_len: u32,
    service: u32,
    service_len: u32,
    method: u32,
    method_len: u32,
    metadata: u32,
    metadata_len: u32,
    message: u32,
    message_len: u32,
    timeout: u32,
    id: u32,
) -> u32 {
    let target = Target {
        function: "proxy_grpc_call",
        upstream: (upstream, upstream_len),
        service: (service, service_len),
        method: (method, method_len),
        metadata: (metadata, metadata_len),
    };
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        target.start(memory, state, Some((message, message_len)), timeout, id)
    };
    code(run())
}

#[allow(clippy::too_many_arguments)]
fn stream<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    upstream: u32,
    upstream_len: u32,
    service: u32,
    service_len: u32,
    method: u32,
    method_len: u32,
    metadata: u32,
    metadata_len: u32,
    id: u32,
) -> u32 {
    let target = Target {
        function: "proxy_grpc_stream",
        upstream: (upstream, upstream_len),
        service: (service, service_len),
        method: (method, method_len),
        metadata: (metadata, metadata_len),
    };
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        target.start(memory, state, None, 0, id)
    };
    code(run())
}

/// `end` is a boolean. On a stream that the other side has ended it does nothing, as in Envoy.
fn send<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    id: u32,
    message: u32,
    message_len: u32,
    end: u32,
) -> u32 {
    let id = CallId::new(id);
    let mut run = || {
        caller
            .data_mut()
            .require(Capability::GrpcCall, "proxy_grpc_send")?;
        let (memory, state) = parts(&mut caller)?;
        let message = slice(memory, message, message_len)?;
        if CallKind::of(id) != CallKind::GrpcStream {
            return Err(Status::BadArgument);
        }
        let call = state.calls.get_mut(id).ok_or(Status::NotFound)?;
        if call.local_end {
            return Err(Status::BadArgument);
        }
        if call.over {
            return Ok(());
        }
        let end = end != 0;
        state.proxy.grpc_send(id, message, end)?;
        call.local_end = end;
        Ok(())
    };
    code(run())
}

fn cancel<P: Proxy>(mut caller: Caller<'_, State<P>>, id: u32) -> u32 {
    code(end(
        caller.data_mut(),
        "proxy_grpc_cancel",
        CallId::new(id),
        true,
    ))
}

/// Ends the guest's half of a stream; a call has none and is cancelled.
fn close<P: Proxy>(mut caller: Caller<'_, State<P>>, id: u32) -> u32 {
    code(end(
        caller.data_mut(),
        "proxy_grpc_close",
        CallId::new(id),
        false,
    ))
}

fn end<P: Proxy>(
    state: &mut State<P>,
    function: &str,
    id: CallId,
    cancel: bool,
) -> Result<(), Status> {
    state.require(Capability::GrpcCall, function)?;
    let stream = match CallKind::of(id) {
        CallKind::Grpc => false,
        CallKind::GrpcStream => true,
        CallKind::Http | CallKind::Redis => return Err(Status::BadArgument),
    };
    let call = state.calls.get_mut(id).ok_or(Status::NotFound)?;
    if cancel || !stream {
        state.cancel_call(id);
    } else if !call.local_end && !call.over {
        state.proxy.grpc_close(id)?;
        call.local_end = true;
    }
    Ok(())
}

/// Code and message of the last call or stream that ended.
fn status<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    number: u32,
    ptr: u32,
    len: u32,
) -> Result<u32> {
    let mut run = || -> Result<(), Fault> {
        caller
            .data_mut()
            .require(Capability::GrpcCall, "proxy_get_status")?;
        let out = Out { ptr, len };
        let (memory, state) = parts(&mut caller)?;
        slice(memory, number, 4)?;
        out.check(memory)?;
        let (status, message) = state.grpc_status.clone();
        write_u32(memory, number, status)?;
        give(&mut caller, &message, out)
    };
    ending(run())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grpc_service_names_its_cluster() {
        // envoy_grpc { cluster_name: "backend" authority: "a" } timeout { seconds: 1 }
        let service = b"\x0a\x0c\x0a\x07backend\x12\x01a\x1a\x02\x08\x01";
        assert_eq!(cluster_name(service).as_deref(), Some(&b"backend"[..]));
        // A google_grpc has no cluster.
        assert_eq!(cluster_name(b"\x12\x05\x0a\x03a:1"), None);
        for name in ["", "backend", "grpc-1:50051", "[::1]:50051", "unix:/a/b"] {
            assert_eq!(cluster_name(name.as_bytes()), None, "{name}");
        }
        for cut in 1..12 {
            assert_eq!(cluster_name(&service[..cut]), None, "at {cut}");
        }
    }
}
