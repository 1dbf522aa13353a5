//! The families of the host's own metrics.

use crate::metrics::families::Scale;
use crate::shm::metrics::store::Kind;

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
pub const MESSAGES: &str = "nginx_wasm_messages_total";
pub const MEMORY: &str = "nginx_wasm_memory_bytes";
pub const COMPILE_HITS: &str = "nginx_wasm_compile_cache_hits_total";
pub const COMPILE_MISSES: &str = "nginx_wasm_compile_cache_misses_total";
pub const ZONE_SIZE: &str = "nginx_wasm_zone_size_bytes";
pub const ZONE_USED: &str = "nginx_wasm_zone_used_bytes";
pub const DATA_KEYS: &str = "nginx_wasm_shared_data_keys";
pub const DATA_EVICTIONS: &str = "nginx_wasm_shared_data_evictions_total";
pub const QUEUES: &str = "nginx_wasm_queues";
pub const QUEUE_MESSAGES: &str = "nginx_wasm_queue_messages";

/// The host's families, as they are shown.
pub const HOST_FAMILIES: [HostFamily; 16] = [
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
        MESSAGES,
        Kind::Counter,
        None,
        "Messages of Redis channels that a module has handled, failed for or lost, by outcome.",
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
    family(DATA_KEYS, Kind::Gauge, None, "Keys of shared data."),
    family(
        DATA_EVICTIONS,
        Kind::Counter,
        None,
        "Keys of shared data that had to go for others.",
    ),
    family(QUEUES, Kind::Gauge, None, "Shared queues."),
    family(
        QUEUE_MESSAGES,
        Kind::Gauge,
        None,
        "Messages that wait in shared queues.",
    ),
];
