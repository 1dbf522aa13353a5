//! http-wasm guests as filters of the chain.

pub mod exchange;
pub mod instances;
pub mod maker;
pub mod middleware;
pub mod module;
pub mod modules;
pub mod response;
