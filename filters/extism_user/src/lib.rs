//! Calls functions that a host defines in `extism:host/user`: `reverse` takes and gives a block, `add` plain numbers.

use extism_pdk::{FnResult, host_fn, plugin_fn};

#[host_fn]
extern "ExtismHost" {
    fn reverse(text: String) -> String;
}

// `host_fn` would make blocks of numbers.
#[link(wasm_import_module = "extism:host/user")]
unsafe extern "C" {
    safe fn add(a: i64, b: i64) -> i64;
}

#[plugin_fn]
pub fn reversed(text: String) -> FnResult<String> {
    // SAFETY: the host's function takes a block of any bytes.
    Ok(unsafe { reverse(text)? })
}

/// The sum of the numbers of a text.
#[plugin_fn]
pub fn sum(text: String) -> FnResult<String> {
    let mut sum = 0;
    for number in text.split_whitespace() {
        sum = add(sum, number.parse()?);
    }
    Ok(sum.to_string())
}
