//! What Spin's documentation and source say, as tables.

mod headers;
mod hosts;
mod manifest;
mod routes;
mod template;
mod variables;
