//! The module's configuration: nginx's directives as plain values.

pub mod buffers;
pub mod cache;
pub mod call;
pub mod chain;
pub mod filter;
pub mod guest;
pub mod handler;
pub mod key_value;
pub mod limits;
pub mod location;
pub mod lua;
pub mod lua_plugins;
pub mod main;
pub mod merge;
pub mod module;
pub mod parameters;
pub mod policy;
pub mod properties;
pub mod redis_subscribe;
pub mod request_buffering;
pub mod service;
pub mod spin;
pub mod stores;
pub mod subscription;
pub mod zones;
