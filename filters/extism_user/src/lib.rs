//! Calls functions that a host defines in `extism:host/user`.

use extism_pdk::{FnResult, host_fn, plugin_fn};

#[host_fn]
extern "ExtismHost" {
    fn reverse(text: String) -> String;
    fn add(a: i64, b: i64) -> i64;
}

#[plugin_fn]
pub fn reversed(text: String) -> FnResult<String> {
    // SAFETY: the host's function takes a block of any bytes.
    Ok(unsafe { reverse(text)? })
}

/// "a b".
#[plugin_fn]
pub fn sum(text: String) -> FnResult<String> {
    let numbers = text.split_whitespace().map(str::parse::<i64>);
    let mut sum = 0;
    for number in numbers {
        // SAFETY: the host's function takes any numbers.
        sum = unsafe { add(sum, number?)? };
    }
    Ok(sum.to_string())
}
