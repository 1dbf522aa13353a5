//! What Spin's documentation and source say, as tables.

mod hosts;
mod routes;
mod template;
