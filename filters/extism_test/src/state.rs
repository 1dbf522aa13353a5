//! Input and output, configuration, variables, and what lives on in the instance.

use std::sync::atomic::{AtomicU64, Ordering};

use extism_pdk::{Error, FnResult, config, plugin_fn, var};

/// What is not there.
const ABSENT: &str = "(absent)";

#[plugin_fn]
pub fn echo(input: Vec<u8>) -> FnResult<Vec<u8>> {
    Ok(input)
}

/// The value of a key.
#[plugin_fn]
pub fn config_get(key: String) -> FnResult<String> {
    Ok(config::get(key)?.unwrap_or_else(|| ABSENT.into()))
}

#[plugin_fn]
pub fn var_get(key: String) -> FnResult<Vec<u8>> {
    Ok(var::get(key)?.unwrap_or_else(|| ABSENT.into()))
}

/// "key=value".
#[plugin_fn]
pub fn var_set(pair: String) -> FnResult<()> {
    let (key, value) = pair
        .split_once('=')
        .ok_or_else(|| Error::msg("no key=value"))?;
    Ok(var::set(key, value)?)
}

#[plugin_fn]
pub fn var_remove(key: String) -> FnResult<()> {
    Ok(var::remove(key)?)
}

/// "key=N": a value of N bytes.
#[plugin_fn]
pub fn var_fill(pair: String) -> FnResult<()> {
    let (key, size) = pair
        .split_once('=')
        .ok_or_else(|| Error::msg("no key=size"))?;
    Ok(var::set(key, vec![b'v'; size.parse()?])?)
}

/// How often this instance was asked.
#[plugin_fn]
pub fn count() -> FnResult<String> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    Ok((CALLS.fetch_add(1, Ordering::Relaxed) + 1).to_string())
}
