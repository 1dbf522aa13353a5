//! Metrics.

use wasm_runtime::wasmtime::{Caller, Linker, Result};

use super::code;
use crate::abi::MetricType;
use crate::memory::{parts, slice, write_u32, write_u64};
use crate::state::State;
use crate::traits::Proxy;

pub(super) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    linker
        .func_wrap("env", "proxy_define_metric", define_metric::<P>)?
        .func_wrap(
            "env",
            "proxy_increment_metric",
            |caller: Caller<'_, State<P>>, id: u32, offset: i64| {
                code(caller.data().proxy.increment_metric(id, offset))
            },
        )?
        .func_wrap(
            "env",
            "proxy_record_metric",
            |caller: Caller<'_, State<P>>, id: u32, value: u64| {
                code(caller.data().proxy.record_metric(id, value))
            },
        )?
        .func_wrap("env", "proxy_get_metric", get::<P>)?;
    Ok(())
}

fn define_metric<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    metric: u32,
    name: u32,
    name_len: u32,
    id: u32,
) -> u32 {
    let mut run = || {
        let metric = MetricType::try_from(metric)?;
        let (memory, state) = parts(&mut caller)?;
        slice(memory, id, 4)?;
        let name = slice(memory, name, name_len)?;
        let number = state.proxy.define_metric(metric, name)?;
        write_u32(memory, id, number)
    };
    code(run())
}

fn get<P: Proxy>(mut caller: Caller<'_, State<P>>, id: u32, out: u32) -> u32 {
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        slice(memory, out, 8)?;
        let value = state.proxy.metric(id)?;
        write_u64(memory, out, value)
    };
    code(run())
}
