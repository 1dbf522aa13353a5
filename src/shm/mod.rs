//! What workers share, in nginx's shared memory: data, queues, metrics; one zone each.

pub mod data;
pub mod lease;
pub mod metrics;
pub mod notify;
pub mod queue;
pub mod slab;
pub mod wakers;
pub mod zone;

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant};

use crate::nginx::log::{Level, Log};
use crate::shm::data::store::SharedData;
use crate::shm::queue::queues::SharedQueues;

/// Told apart by their addresses: the uses of zones, as nginx's tags.
pub static DATA_TAG: u8 = b'd';
pub static QUEUES_TAG: u8 = b'q';
pub static METRICS_TAG: u8 = b'm';

/// What the instances of one process, and one configuration, share with those of others.
pub struct Shared {
    pub data: SharedData,
    pub queues: SharedQueues,
}

/// A line that would be written again and again.
#[derive(Default)]
struct Complaint(Cell<Option<Instant>>);

impl Complaint {
    const INTERVAL: Duration = Duration::from_secs(10);

    /// Writes an error line, at most one every ten seconds.
    fn write(&self, log: Log, message: fmt::Arguments<'_>) {
        let now = Instant::now();
        if self.0.get().is_none_or(|last| now >= last + Self::INTERVAL) {
            self.0.set(Some(now));
            log.write(Level::Error, format_args!("[wasm] {message}"));
        }
    }
}

/// # Safety
/// `len` bytes stand at `at`, as long as the slice is used.
unsafe fn bytes<'a>(at: *const u8, len: u32) -> &'a [u8] {
    // SAFETY: `len` bytes stand at `at`, as long as the slice is used.
    unsafe { std::slice::from_raw_parts(at, len as usize) }
}
