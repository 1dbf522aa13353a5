//! Redis calls, as in Higress (`higress-group/proxy-wasm-go-sdk`, `abi_hostcalls.go`).

use std::time::Duration;

use guest_host::Capability;
use guest_host::memory::{parts, slice, write_u32};
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::code;
use crate::abi::Status;
use crate::calls::{RedisCall, RedisService};
use crate::pending::CallKind;
use crate::state::State;
use crate::traits::Proxy;

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker
        .func_wrap("env", "proxy_redis_init", init::<P>)?
        .func_wrap("env", "proxy_redis_call", call::<P>)?;
    Ok(())
}

/// The part of a service's name that says where it is; parameters follow behind a `?`.
fn upstream(service: &[u8]) -> &[u8] {
    let end = service.iter().position(|&b| b == b'?');
    &service[..end.unwrap_or(service.len())]
}

#[allow(clippy::too_many_arguments)]
fn init<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    service: u32,
    service_len: u32,
    username: u32,
    username_len: u32,
    password: u32,
    password_len: u32,
    timeout: u32,
) -> u32 {
    let function = "proxy_redis_init";
    let mut run = || {
        caller.data_mut().require(Capability::Redis, function)?;
        let (memory, state) = parts(&mut caller)?;
        let name = slice(memory, service, service_len)?;
        state.require_upstream(Capability::Redis, function, upstream(name))?;
        let service = RedisService {
            name,
            username: slice(memory, username, username_len)?,
            password: slice(memory, password, password_len)?,
            timeout: Duration::from_millis(timeout.into()),
        };
        let root = state.current().ok_or(Status::BadArgument)?.root;
        state.proxy.redis_init(root, state.stream(), &service)
    };
    code(run())
}

fn call<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    service: u32,
    service_len: u32,
    query: u32,
    query_len: u32,
    id: u32,
) -> u32 {
    let function = "proxy_redis_call";
    let mut run = || {
        caller.data_mut().require(Capability::Redis, function)?;
        let (memory, state) = parts(&mut caller)?;
        // No call is made whose id cannot be told.
        slice(memory, id, 4)?;
        let service = slice(memory, service, service_len)?;
        state.require_upstream(Capability::Redis, function, upstream(service))?;
        let query = slice(memory, query, query_len)?;
        let root = state.current().ok_or(Status::BadArgument)?.root;
        let number = state.start_call(CallKind::Redis, |proxy, stream, id| {
            let call = RedisCall {
                root,
                service,
                query,
            };
            let result = proxy.redis_call(stream, id, &call);
            result.map_err(|status| match status {
                Status::BadArgument => status,
                _ => Status::InternalFailure,
            })
        })?;
        Ok(write_u32(memory, id, number.get())?)
    };
    code(run())
}
