//! All tests in one program: linking Wasmtime takes longer than they do.

mod common;

mod allocator;
mod buffers;
mod capabilities;
mod done;
mod foreign;
mod grpc;
mod headers;
mod http_call;
mod http_response;
mod imports;
mod joined;
mod lifecycle;
mod limits;
mod load;
mod log_time;
mod properties;
mod redis;
mod rewind;
mod shared;
mod signature;
mod snapshot;
mod start;
mod streams;
mod upstream_hosts;
mod wasi;
