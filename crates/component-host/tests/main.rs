//! All tests in one program: linking Wasmtime takes longer than they do. The one that counts threads is another.

mod common;

mod bodies;
mod denied;
mod failures;
mod hello;
mod limits;
mod load;
mod messages;
mod outgoing;
mod requests;
mod speed;
mod system;
