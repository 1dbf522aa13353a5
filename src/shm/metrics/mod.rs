pub mod store;
pub mod values;
pub mod zone;
