//! Components that are the whole service (`wasi:http`): a request streams in, its response streams out.

pub mod chain;
pub mod error;
pub mod exchange;
pub mod head;
pub mod local;
pub mod outgoing;
pub mod places;
pub mod platform;
pub mod request;
pub mod respond;
pub mod serve;
pub mod services;
pub mod spin;
pub mod stores;
