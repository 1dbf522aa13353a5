//! The zone of the metrics.

use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use crate::shm::metrics::store::Metrics;
use crate::shm::slab::Slab;
use crate::shm::zone::{Declared, Root, Zone};

/// The zone's structure: where the memory is that [`Metrics`] lays out, which is the whole rest of
/// the zone. The allocator has nothing more to do, so it is never found half changed.
#[repr(C)]
pub struct Store {
    words: NonNull<AtomicU64>,
    len: usize,
}

// SAFETY: the pointer leads into the zone.
unsafe impl Root for Store {
    const LAYOUT: u32 = 1;
    const ALWAYS_WHOLE: bool = true;

    fn create(slab: &mut Slab<'_>, _before: Option<&Self>) -> Option<Self> {
        let size = slab.free_bytes();
        let words: NonNull<AtomicU64> = slab.alloc(size)?.cast();
        let store = Store {
            words,
            len: size / size_of::<AtomicU64>(),
        };
        // SAFETY: the memory has that size, is aligned, and nobody else has it yet.
        Metrics::create(unsafe { store.words() })?;
        Some(store)
    }
}

impl Store {
    /// # Safety
    /// The zone stays as long as the result is used.
    unsafe fn words<'a>(&self) -> &'a [AtomicU64] {
        // SAFETY: the zone stays as long as the result is used; `create` has set both.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr(), self.len) }
    }
}

/// The metrics of a configuration, in this process.
pub struct MetricsZone {
    zone: Zone<Store>,
    store: NonNull<Store>,
}

impl MetricsZone {
    /// The zone that all processes share; `None` while the configuration is being read.
    pub fn open(declared: &Declared<Store>) -> Option<MetricsZone> {
        MetricsZone::of(declared.open()?)
    }

    /// A zone of this process alone, for a dry run.
    pub fn private(declared: &Declared<Store>) -> Option<MetricsZone> {
        MetricsZone::of(declared.private()?)
    }

    fn of(zone: Zone<Store>) -> Option<MetricsZone> {
        let store = zone.root()?;
        Some(MetricsZone { zone, store })
    }

    pub fn metrics(&self) -> Metrics<'_> {
        // SAFETY: the structure is set once and stays where it is, for it is always whole; the
        // zone stays as long as this value.
        Metrics::open(unsafe { self.store.as_ref().words() })
    }

    /// Adds metrics, while no other process does. `None`: the zone cannot be locked.
    pub fn locked<R>(&self, add: impl FnOnce(Metrics<'_>) -> R) -> Option<R> {
        let _guard = self.zone.lock()?;
        Some(add(self.metrics()))
    }

    /// Tells zones of this process apart.
    pub fn address(&self) -> usize {
        self.store.as_ptr() as usize
    }
}
