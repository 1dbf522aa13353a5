//! Parameters of `wasm_module` that are limits: `memory=`, `cpu_time=`, `start_time=`, `stack=`, `table=`,
//! `instances=`, `log_rate=` and `turn_time=`.

use std::time::Duration;

use proxy_wasm_host::Size;
use rustix::process::{Resource, getrlimit};

use crate::nginx::conf;

/// Limits of a module that hold for its instances in one worker together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceLimits {
    /// Most instances at once, with `isolation=request`, or of a plugin.
    pub instances: u32,
    /// Most requests that wait for an instance of a plugin.
    pub queue: u32,
    /// Most lines a second that its guests write to the log; `None`: as many as they like.
    pub log_rate: Option<u32>,
    /// What they may take of one turn of nginx's event loop.
    pub turn_time: Duration,
}

impl Default for InstanceLimits {
    fn default() -> InstanceLimits {
        InstanceLimits {
            instances: 1000,
            queue: 1000,
            log_rate: Some(1000),
            turn_time: Duration::from_millis(10),
        }
    }
}

/// Bytes, as nginx writes sizes, in a range; the error says what they must be.
pub fn size(value: &[u8], least: usize, most: usize) -> Result<usize, String> {
    conf::size(value)
        .filter(|size| size >= &least && size <= &most)
        .ok_or_else(|| format!("a size from {} to {}", Size(least), Size(most)))
}

/// A time, as nginx writes times, in a range; the error says what it must be.
pub fn time(value: &[u8], least: Duration, most: Duration) -> Result<Duration, String> {
    conf::milliseconds(value)
        .map(|time| Duration::from_millis(time as u64))
        .filter(|time| time >= &least && time <= &most)
        .ok_or_else(|| format!("a time from {least:?} to {most:?}"))
}

/// A number in a range; the error says what it must be.
pub fn number(value: &[u8], least: u32, most: u32) -> Result<u32, String> {
    str::from_utf8(value)
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .filter(|number| number >= &least && number <= &most)
        .ok_or_else(|| format!("a number from {least} to {most}"))
}

/// The largest stack that a guest can have, in bytes: what the system gives the process, without a
/// quarter for nginx and the host functions.
pub fn largest_stack() -> usize {
    // `None`: as much as it wants.
    let limit = getrlimit(Resource::Stack).current;
    let most = limit.and_then(|limit| usize::try_from(limit / 4 * 3).ok());
    most.unwrap_or(MOST_STACK).min(MOST_STACK) & !1023
}

/// The default, too, has to fit.
pub fn check_stack(stack: usize) -> Result<(), String> {
    let most = largest_stack();
    match stack <= most {
        true => Ok(()),
        false => Err(format!(
            "stack={} does not fit, this process can have {} (see ulimit -s)",
            Size(stack),
            Size(most)
        )),
    }
}

/// Most bytes of a guest's stack, whatever the system allows: Wasmtime's own bound.
const MOST_STACK: usize = 2 << 20;
