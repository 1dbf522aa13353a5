pub mod body;
pub mod headers;
pub mod local;
pub mod next;
pub mod spool;
pub mod stream;
