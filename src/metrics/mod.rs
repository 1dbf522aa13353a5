//! Metrics: those that guests define, the host's own, and the page that shows both.

mod accept;
mod causes;
mod families;
mod host;
mod host_families;
mod module;
mod names;
mod page;
mod text;

pub use host::{Host, compiled};
pub use module::ModuleMetrics;
pub use page::show;
