pub mod call;
pub mod exchange;
pub mod loan;
pub mod request;
pub mod shared;
pub mod stream;
