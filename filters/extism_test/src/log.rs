//! A line at each level; the level.

use extism_pdk::{FnResult, Memory, extism, plugin_fn};

/// Logs at all levels, whatever the level of the host, and answers that level.
#[plugin_fn]
pub fn log_all(text: String) -> FnResult<String> {
    let levels: [(&str, unsafe extern "C" fn(u64)); 5] = [
        ("trace", extism::log_trace),
        ("debug", extism::log_debug),
        ("info", extism::log_info),
        ("warn", extism::log_warn),
        ("error", extism::log_error),
    ];
    for (name, log) in levels {
        let memory = Memory::from_bytes(format!("{name} {text}"))?;
        // SAFETY: a call of the host, which takes the block from here on.
        unsafe { log(memory.offset()) };
    }
    // SAFETY: a call of the host.
    Ok(unsafe { extism::get_log_level() }.to_string())
}
