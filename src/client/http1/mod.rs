pub mod call;
pub mod exchange;
pub mod loan;
pub mod request;
