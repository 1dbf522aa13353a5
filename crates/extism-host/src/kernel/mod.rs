//! Extism's kernel: the memory that host and guest exchange bytes in.

mod blocks;
mod functions;
pub mod layout;
mod memory;

pub use functions::define;
pub use memory::{KEPT, Kernel, PAGE, begin, fill, give, parts};
