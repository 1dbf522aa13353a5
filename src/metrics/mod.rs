//! Metrics: those that guests define, the host's own, and the page that shows both.

pub mod accept;
pub mod causes;
pub mod families;
pub mod host;
pub mod host_families;
pub mod module;
pub mod names;
pub mod page;
pub mod text;
