//! The seam to the host proxy: what it must offer to a guest.

mod proxy;
mod stream;

pub use proxy::Proxy;
pub use stream::{HttpStream, LocalResponse};
