//! What workers share, in nginx's shared memory: data, queues, metrics; one zone each.

pub mod data;
pub mod metric_values;
pub mod metrics;
pub mod metrics_zone;
pub mod queue;
pub mod slab;
pub mod zone;

/// Told apart by their addresses: the uses of zones, as nginx's tags.
pub static DATA_TAG: u8 = b'd';
pub static QUEUES_TAG: u8 = b'q';
pub static METRICS_TAG: u8 = b'm';
