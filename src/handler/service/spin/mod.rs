//! Spin applications: `wasm_spin`.

pub mod answer;
pub mod directive;
pub mod load;
