pub mod foreign;
pub mod instance;
pub mod outbound;
pub mod own;
pub mod proxy;
pub mod redis;
pub mod stream;
pub mod tick;
