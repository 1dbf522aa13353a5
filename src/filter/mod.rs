//! Filters of requests and responses: the chain, the kinds of guests that stand in it, and all of those that a worker
//! has.

pub mod chain;
pub mod guests;
pub mod http_wasm;
pub mod proxy_wasm;
