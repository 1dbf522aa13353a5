//! What the fuzz targets have in common.

/// The mock proxy of the host crate's own tests.
#[path = "../../crates/proxy-wasm-host/tests/common/mod.rs"]
pub mod common;
pub mod extism;
pub mod fixed;
pub mod guest;
pub mod http_wasm;
/// And that of the http-wasm host's.
#[path = "../../crates/http-wasm-host/tests/common/mod.rs"]
pub mod http_wasm_common;
pub mod records;
pub mod run;
pub mod script;
pub mod texts;
pub mod wapc;
/// And that of the waPC host's.
#[path = "../../crates/wapc-host/tests/common/mod.rs"]
pub mod wapc_common;
