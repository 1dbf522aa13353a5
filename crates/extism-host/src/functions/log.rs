//! Log lines of guests.

use guest_host::LogLevel;
use wasm_runtime::wasmtime::{Caller, Linker, Result};

use crate::imports::ENV;
use crate::kernel::parts;
use crate::services::Services;
use crate::state::State;

pub fn define<S: Services>(linker: &mut Linker<State<S>>) -> Result<()> {
    let levels = [
        ("log_trace", LogLevel::Trace),
        ("log_debug", LogLevel::Debug),
        ("log_info", LogLevel::Info),
        ("log_warn", LogLevel::Warn),
        ("log_error", LogLevel::Error),
    ];
    for (name, level) in levels {
        linker.func_wrap(
            ENV,
            name,
            move |mut caller: Caller<'_, State<S>>, text: u64| log(&mut caller, level, text),
        )?;
    }
    linker.func_wrap(ENV, "get_log_level", |caller: Caller<'_, State<S>>| {
        number(caller.data().services.log_level())
    })?;
    Ok(())
}

/// Extism's number of the least level that is logged.
fn number(level: LogLevel) -> i32 {
    match level {
        LogLevel::Trace => 0,
        LogLevel::Debug => 1,
        LogLevel::Info => 2,
        LogLevel::Warn => 3,
        LogLevel::Error => 4,
        // Guests have no such lines.
        LogLevel::Critical => i32::MAX,
    }
}

/// Writes a line, which need not be UTF-8. It is freed, logged or not; where there is none, and it would be logged, the call
/// ends.
fn log<S: Services>(caller: &mut Caller<'_, State<S>>, level: LogLevel, text: u64) -> Result<()> {
    let (memory, state) = parts(caller)?;
    if state.services.log_enabled(level) {
        let range = state.kernel.block(memory, text, "a log line")?;
        state.services.log(level, &memory[range]);
    }
    state.kernel.blocks.free(memory, text);
    Ok(())
}
