//! The time, as guests get it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970; `None` before it and after 2554.
pub fn now() -> Option<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    since.as_nanos().try_into().ok()
}

/// Nanoseconds since an instance's start, and never 0, which Go takes for "not set".
pub fn monotonic(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos())
        .unwrap_or(u64::MAX)
        .saturating_add(1)
}
