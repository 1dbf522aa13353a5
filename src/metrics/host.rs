//! This process's part in the host's own metrics, which are kept beside the guests'.

use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::metrics::host_families::{COMPILE_HITS, COMPILE_MISSES};
use crate::shm::metrics::store::{Key, Kind, MetricId, Metrics, Owner, SLOTS};
use crate::shm::metrics::zone::{MetricsZone, Store};
use crate::shm::zone::Declared;

/// A process's part in the metrics of a configuration.
pub struct Host {
    zone: MetricsZone,
    /// Of a process that serves requests, and found room.
    slot: Option<u8>,
    /// Some location shows the metrics.
    pub shown: bool,
}

/// The zone and the slot of this process. One that serves two configurations at a time
/// (`master_process off`) has one slot for both.
static SLOT_ZONE: AtomicUsize = AtomicUsize::new(0);
static SLOT: AtomicUsize = AtomicUsize::new(0);

impl Host {
    /// For a process that serves requests; `shown`: some location shows the metrics.
    pub fn open(declared: &Declared<Store>, shown: bool) -> Option<Host> {
        let zone = MetricsZone::open(declared)?;
        let slot = claim_slot(&zone);
        Some(Host { zone, slot, shown })
    }

    /// For a dry run: on memory that is thrown away.
    pub fn private(declared: &Declared<Store>) -> Option<Host> {
        Some(Host {
            zone: MetricsZone::private(declared)?,
            slot: None,
            shown: false,
        })
    }

    pub fn metrics(&self) -> Metrics<'_> {
        self.zone.metrics()
    }

    pub fn zone(&self) -> &MetricsZone {
        &self.zone
    }

    /// The number of a module's space, in which its metrics and the host's about it are.
    pub fn space(&self, module: &str) -> Option<MetricId> {
        let key = Key {
            kind: Kind::Space,
            owner: Owner::Guest,
            space: 0,
        };
        let define = |metrics: Metrics<'_>| metrics.define(key, module.as_bytes()).ok();
        self.zone.locked(define)?
    }

    /// A metric of the host's; `labels` as they are shown, a comma before each. `None`: no room.
    pub fn define(
        &self,
        kind: Kind,
        space: MetricId,
        family: &str,
        labels: &str,
    ) -> Option<MetricId> {
        let owner = match kind {
            Kind::Gauge => Owner::Worker(self.slot?),
            _ => Owner::Host,
        };
        let key = Key { kind, owner, space };
        let name = format!("{family}{labels}");
        let define = |metrics: Metrics<'_>| metrics.define(key, name.as_bytes()).ok();
        self.zone.locked(define)?
    }

    /// Adds to a counter or a gauge.
    pub fn add(&self, id: Option<MetricId>, amount: i64) {
        if let Some((_, [value, ..])) = id.and_then(|id| self.metrics().values(id)) {
            value.fetch_add(amount as u64, Ordering::Relaxed);
        }
    }

    /// Which processes with a slot are there? Asked when the metrics are shown.
    pub fn living(&self) -> [bool; SLOTS] {
        std::array::from_fn(|slot| match self.metrics().slot_pid(slot as u8) {
            0 => false,
            pid => is_alive(pid),
        })
    }
}

fn claim_slot(zone: &MetricsZone) -> Option<u8> {
    if SLOT_ZONE.load(Ordering::Relaxed) == zone.address() {
        return Some(SLOT.load(Ordering::Relaxed) as u8);
    }
    let slot = zone.locked(|metrics| metrics.claim_slot(std::process::id(), is_alive))??;
    SLOT_ZONE.store(zone.address(), Ordering::Relaxed);
    SLOT.store(slot.into(), Ordering::Relaxed);
    Some(slot)
}

/// Is there a process of this pid? One of another user's is.
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM)))
}

/// Notes what the master has compiled since it runs, now that a configuration has been taken.
pub fn compiled(declared: &Declared<Store>) {
    let Some(host) = MetricsZone::open(declared).map(|zone| Host {
        zone,
        slot: None,
        shown: false,
    }) else {
        return;
    };
    let counts = proxy_wasm_host::compile_counts();
    for (family, count) in [(COMPILE_HITS, counts.hits), (COMPILE_MISSES, counts.misses)] {
        let id = host.define(Kind::Counter, 0, family, "");
        if let Some((_, [value, ..])) = id.and_then(|id| host.metrics().values(id)) {
            value.store(count, Ordering::Relaxed);
        }
    }
}
