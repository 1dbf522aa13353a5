//! What a host of Extism has to do, an export for each thing. Tests call them with all sorts of input.

mod http;
mod kernel;
mod log;
mod memory;
mod results;
mod state;
