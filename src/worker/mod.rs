//! What a worker process owns, for guests of any kind: the engine, what modules may take, instances that are
//! started again when they fail, the dry run of a configuration.

pub mod attempts;
pub mod check;
pub mod guest_log;
pub mod metrics_page;
pub mod modules;
pub mod process;
pub mod stock;
pub mod upstreams;
