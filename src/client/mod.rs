pub mod body;
pub mod budget;
pub mod calls;
pub mod grpc;
pub mod http1;
pub mod redis;
