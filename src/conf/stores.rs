//! Key-value stores of components.

/// A key-value store of components that is kept on a Redis server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValueStore {
    /// What components call it.
    pub name: String,
    /// `host:port`, an upstream's name or `unix:path`; `rediss://` before it for TLS, and `?db=number` behind it.
    pub server: Vec<u8>,
    pub user: Vec<u8>,
    /// Empty for no login.
    pub password: Vec<u8>,
}
