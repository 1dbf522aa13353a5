//! Components that are the whole service (`wasi:http`): a request streams in, its response streams out.

pub mod exchange;
pub mod head;
pub mod local;
pub mod outgoing;
pub mod request;
pub mod respond;
