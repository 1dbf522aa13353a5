//! Plugins of Lua's code (`lua/resty/proxy-wasm.lua`): Proxy-Wasm filters whose callbacks Lua's code makes, request by request,
//! in place of nginx's phases.

pub mod abi;
mod answer;
mod output;
pub mod plugins;
mod process;
mod request;
mod response;
mod streams;
mod wait;
