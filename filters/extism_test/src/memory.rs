//! Much memory, of the guest and of the host's kernel.

use extism_pdk::{Error, FnResult, extism, plugin_fn};

/// So many MiB of the guest's own, all written to.
#[plugin_fn]
pub fn eat(mebibytes: String) -> FnResult<String> {
    let size = mebibytes.parse::<usize>()? << 20;
    let mut block = Vec::new();
    block
        .try_reserve_exact(size)
        .map_err(|error| Error::msg(error.to_string()))?;
    block.resize(size, 1u8);
    Ok(core::hint::black_box(&block).len().to_string())
}

/// So many blocks of a MiB of the kernel's; how many it got.
#[plugin_fn]
pub fn eat_kernel(mebibytes: String) -> FnResult<String> {
    let wanted: u64 = mebibytes.parse()?;
    // SAFETY: a call of the host; any number is a valid argument of it.
    let got = (0..wanted).take_while(|_| unsafe { extism::alloc(1 << 20) } != 0);
    Ok(got.count().to_string())
}

/// So many bytes of output.
#[plugin_fn]
pub fn produce(bytes: String) -> FnResult<Vec<u8>> {
    Ok(vec![b'p'; bytes.parse()?])
}
