//! Metrics.

use guest_host::Capability;
use guest_host::memory::{parts, slice, write_u32, write_u64};
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::code;
use crate::abi::{MetricType, Status};
use crate::state::State;
use crate::traits::Proxy;

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker
        .func_wrap("env", "proxy_define_metric", define_metric::<P>)?
        .func_wrap(
            "env",
            "proxy_increment_metric",
            |mut caller: Caller<'_, State<P>>, id: u32, offset: i64| {
                let proxy = allowed(&mut caller, "proxy_increment_metric");
                code(proxy.and_then(|proxy| proxy.increment_metric(id, offset)))
            },
        )?
        .func_wrap(
            "env",
            "proxy_record_metric",
            |mut caller: Caller<'_, State<P>>, id: u32, value: u64| {
                let proxy = allowed(&mut caller, "proxy_record_metric");
                code(proxy.and_then(|proxy| proxy.record_metric(id, value)))
            },
        )?
        .func_wrap("env", "proxy_get_metric", get::<P>)?;
    Ok(())
}

/// The proxy, for guests that may use metrics.
fn allowed<'a, P: Proxy>(
    caller: &'a mut Caller<'_, State<P>>,
    function: &str,
) -> Result<&'a P, Status> {
    let state = caller.data_mut();
    state.require(Capability::Metrics, function)?;
    Ok(&state.proxy)
}

fn define_metric<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    metric: u32,
    name: u32,
    name_len: u32,
    id: u32,
) -> u32 {
    let mut run = || {
        allowed(&mut caller, "proxy_define_metric")?;
        let metric = MetricType::try_from(metric)?;
        let (memory, state) = parts(&mut caller)?;
        slice(memory, id, 4)?;
        let name = slice(memory, name, name_len)?;
        let number = state.proxy.define_metric(metric, name)?;
        Ok(write_u32(memory, id, number)?)
    };
    code(run())
}

fn get<P: Proxy>(mut caller: Caller<'_, State<P>>, id: u32, out: u32) -> u32 {
    let mut run = || {
        allowed(&mut caller, "proxy_get_metric")?;
        let (memory, state) = parts(&mut caller)?;
        slice(memory, out, 8)?;
        let value = state.proxy.metric(id)?;
        Ok(write_u64(memory, out, value)?)
    };
    code(run())
}
