pub mod store;
pub mod table;
