//! The host's own metrics, which are kept beside the guests'.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::families::Scale;
use crate::shm::metrics::{Key, Kind, MetricId, Metrics, Owner, SLOTS};
use crate::shm::metrics_zone::{MetricsZone, Store};
use crate::shm::zone::Declared;

/// A family of the host's.
pub struct HostFamily {
    /// A counter's is without `_total`.
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    pub unit: Option<&'static str>,
    pub scale: Scale,
}

const fn family(
    name: &'static str,
    kind: Kind,
    unit: Option<&'static str>,
    help: &'static str,
) -> HostFamily {
    HostFamily {
        name,
        kind,
        help,
        unit,
        scale: Scale::Plain,
    }
}

pub const INSTANCES: &str = "nginx_wasm_instances";
pub const STARTS: &str = "nginx_wasm_instance_starts_total";
pub const START_FAILURES: &str = "nginx_wasm_instance_start_failures_total";
pub const TRAPS: &str = "nginx_wasm_traps_total";
pub const CALLBACKS: &str = "nginx_wasm_callback_duration_seconds";
pub const CALLS: &str = "nginx_wasm_calls_total";
pub const MEMORY: &str = "nginx_wasm_memory_bytes";
pub const COMPILE_HITS: &str = "nginx_wasm_compile_cache_hits_total";
pub const COMPILE_MISSES: &str = "nginx_wasm_compile_cache_misses_total";
pub const ZONE_SIZE: &str = "nginx_wasm_zone_size_bytes";
pub const ZONE_USED: &str = "nginx_wasm_zone_used_bytes";

/// The host's families, as they are shown.
pub const HOST_FAMILIES: [HostFamily; 11] = [
    family(
        INSTANCES,
        Kind::Gauge,
        None,
        "Running instances of a module, in all workers.",
    ),
    family(
        STARTS,
        Kind::Counter,
        None,
        "Instances of a module that have started.",
    ),
    family(
        START_FAILURES,
        Kind::Counter,
        None,
        "Instances of a module that have not started, or that refused their configuration.",
    ),
    family(
        TRAPS,
        Kind::Counter,
        None,
        "Instances of a module that have trapped, by reason.",
    ),
    HostFamily {
        scale: Scale::Seconds,
        ..family(
            CALLBACKS,
            Kind::Histogram,
            Some("seconds"),
            "Time that a module's callbacks take, by phase.",
        )
    },
    family(
        CALLS,
        Kind::Counter,
        None,
        "Outbound calls of a module that have ended, by type and outcome.",
    ),
    family(
        MEMORY,
        Kind::Gauge,
        Some("bytes"),
        "Linear memory of a module's instances, in all workers.",
    ),
    family(
        COMPILE_HITS,
        Kind::Counter,
        None,
        "Modules that did not have to be compiled again when a configuration was read.",
    ),
    family(
        COMPILE_MISSES,
        Kind::Counter,
        None,
        "Modules that were compiled when a configuration was read.",
    ),
    family(
        ZONE_SIZE,
        Kind::Gauge,
        Some("bytes"),
        "Size of a shared memory zone.",
    ),
    family(
        ZONE_USED,
        Kind::Gauge,
        Some("bytes"),
        "Bytes of a shared memory zone that are in use.",
    ),
];

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
    // SAFETY: signal 0 only asks.
    let found = pid <= i32::MAX as u32 && unsafe { libc::kill(pid as libc::pid_t, 0) } == 0;
    found || std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
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
