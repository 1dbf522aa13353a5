//! Guests that get the messages of Redis channels: `wasm_redis_subscribe`, and `[[trigger.redis]]` of Spin applications.

pub mod deliver;
pub mod line;
pub mod listen;
pub mod resolve;
pub mod subscribers;
