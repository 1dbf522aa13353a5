pub mod chain;
pub mod proxy_wasm;
