pub mod listeners;
pub mod queues;
pub mod store;
