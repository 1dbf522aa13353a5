//! Plugins that answer requests: `wasm_handler` makes one a location's content.

pub mod directive;
pub mod entry;
pub mod handlers;
pub mod http;
pub mod in_use;
pub mod input;
pub mod instance;
pub mod instances;
pub mod json;
pub mod linked;
pub mod plugin;
pub mod run;
pub mod send;
pub mod service;
pub mod services;
pub mod subscribe;
