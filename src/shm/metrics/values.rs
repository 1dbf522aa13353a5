//! Values of metrics: histograms, and those that each worker has its own part of.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::shm::metrics::store::{BOUNDS, Metrics, Owner, PIDS, TABLE};

/// Adds a value to a histogram with these upper bounds.
pub fn observe(histogram: &[AtomicU64], bounds: &[u64; BOUNDS], value: u64) {
    let bucket = bounds.partition_point(|&bound| bound < value);
    if let (Some(count), Some(sum)) = (histogram.get(bucket), histogram.get(BOUNDS + 1)) {
        count.fetch_add(1, Relaxed);
        // Saturates: a sum that starts anew would look like a restart.
        let _ = sum.fetch_update(Relaxed, Relaxed, |sum| Some(sum.saturating_add(value)));
    }
}

impl Metrics<'_> {
    /// The slot of this process among those whose metrics are summed up: its own one, or one of
    /// a process that is gone, whose metrics are set to 0. `None` when all are taken. To be called
    /// under the memory's lock.
    pub fn claim_slot(&self, pid: u32, is_alive: impl Fn(u32) -> bool) -> Option<u8> {
        let pids = self.words.get(PIDS..TABLE)?;
        let is_free = |word: &AtomicU64| match word.load(Acquire) as u32 {
            0 => true,
            other => other == pid || !is_alive(other),
        };
        let slot = pids.iter().position(is_free)?;
        pids[slot].store(0, Release);
        for id in 1..=self.count() {
            if let Some((key, values)) = self.values(id)
                && key.owner == Owner::Worker(slot as u8)
            {
                values.iter().for_each(|value| value.store(0, Relaxed));
            }
        }
        pids[slot].store(pid.into(), Release);
        Some(slot as u8)
    }

    /// The pid of a slot's process; 0 when it has none.
    pub fn slot_pid(&self, slot: u8) -> u32 {
        self.load(PIDS + slot as usize) as u32
    }
}
