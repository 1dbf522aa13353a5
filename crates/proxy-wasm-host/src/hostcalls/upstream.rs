//! The servers of a request's upstream, as in Higress (`higress-group/proxy-wasm-cpp-host`, `exports.cc`).

use guest_host::Capability;
use guest_host::memory::{parts, slice};
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::{code, ending};
use crate::abi::Status;
use crate::codec::serialize_map;
use crate::memory::{Fault, Out, give};
use crate::state::State;
use crate::traits::{HttpStream, Proxy};

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker
        .func_wrap("env", "proxy_get_upstream_hosts", hosts::<P>)?
        .func_wrap(
            "env",
            "proxy_set_upstream_override_host",
            override_host::<P>,
        )?;
    Ok(())
}

pub(crate) const HOSTS: &str = "proxy_get_upstream_hosts";
pub(crate) const OVERRIDE: &str = "proxy_set_upstream_override_host";

fn hosts<P: Proxy>(mut caller: Caller<'_, State<P>>, ptr: u32, len: u32) -> Result<u32> {
    ending(write_hosts(&mut caller, Out { ptr, len }))
}

fn write_hosts<P: Proxy>(caller: &mut Caller<'_, State<P>>, out: Out) -> Result<(), Fault> {
    caller
        .data_mut()
        .require(Capability::UpstreamHosts, HOSTS)?;
    let (memory, state) = parts(caller)?;
    out.check(memory)?;
    let stream = state.stream().ok_or(Status::NotFound)?;
    let hosts = stream.upstream_hosts()?;
    let map = serialize_map(|visit| hosts.iter().for_each(|(key, value)| visit(key, value)));
    give(caller, &map, out)
}

fn override_host<P: Proxy>(mut caller: Caller<'_, State<P>>, host: u32, host_len: u32) -> u32 {
    let mut run = || {
        caller
            .data_mut()
            .require(Capability::UpstreamHosts, OVERRIDE)?;
        let (memory, state) = parts(&mut caller)?;
        let host = slice(memory, host, host_len)?;
        let stream = state.stream().ok_or(Status::BadArgument)?;
        stream.set_upstream_override_host(host)
    };
    code(run())
}
