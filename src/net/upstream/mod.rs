pub mod peer;
pub mod request_copy;
