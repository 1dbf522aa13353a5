//! A request and its response as streams, for content that is made by a task while both are under way.

pub mod cut;
pub mod download;
pub mod events;
pub mod upload;
