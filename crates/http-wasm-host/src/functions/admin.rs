//! Features, the configuration, and the log.

use guest_host::LogLevel;
use guest_host::memory::parts;
use wasm_runtime::wasmtime::{Caller, Result};

use super::memory::{give, read};
use crate::exchange::Proxy;
use crate::features::Features;
use crate::state::{Stage, State};

/// Asks for features, in the start for all requests, else for the one that is being served. Answers all that hold. For a
/// response that is there already it is too late to wait.
pub fn enable_features<P: Proxy>(mut caller: Caller<'_, State<P>>, features: u32) -> u32 {
    let state = caller.data_mut();
    let features = Features::from_bits(features);
    let enabled = match (&state.serving.exchange, state.serving.stage) {
        (None, _) => &mut state.features,
        (Some(_), Stage::Response) => {
            state.serving.features |= features.without(Features::BUFFER_RESPONSE);
            return state.serving.features.bits();
        }
        (Some(_), _) => &mut state.serving.features,
    };
    *enabled |= features;
    enabled.bits()
}

/// The configuration of the guest, at any time.
pub fn get_config<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    buffer: u32,
    limit: u32,
) -> Result<u32> {
    let (memory, state) = parts(&mut caller)?;
    Ok(give(memory, buffer, limit, &state.config.configuration)?)
}

pub fn log_enabled<P: Proxy>(caller: Caller<'_, State<P>>, level: i32) -> u32 {
    let level = level_of(level);
    u32::from(level.is_some_and(|level| caller.data().log_enabled(level)))
}

/// A line of the log.
pub fn log<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    level: i32,
    message: u32,
    len: u32,
) -> Result<()> {
    let (memory, state) = parts(&mut caller)?;
    let message = read(memory, message, len)?;
    if let Some(level) = level_of(level)
        && state.log_enabled(level)
    {
        state.log(level, message);
    }
    Ok(())
}

/// `None`: a line of it is never written.
fn level_of(level: i32) -> Option<LogLevel> {
    match level {
        ..=-1 => Some(LogLevel::Debug),
        0 => Some(LogLevel::Info),
        1 => Some(LogLevel::Warn),
        2 => Some(LogLevel::Error),
        3.. => None,
    }
}
