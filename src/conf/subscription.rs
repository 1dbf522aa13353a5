//! Subscriptions to channels of Redis servers.

use crate::nginx::conf::Place;

/// Channels of a Redis server, and the guest that gets their messages.
pub struct SubscriptionConf {
    /// `host:port`, an upstream's name or `unix:path`; `rediss://` before it for TLS.
    pub server: Vec<u8>,
    pub user: Vec<u8>,
    /// Empty for no login.
    pub password: Vec<u8>,
    /// At least one.
    pub channels: Vec<Vec<u8>>,
    /// The module's name.
    pub module: String,
    /// `function=`
    pub function: Option<Vec<u8>>,
    /// One of all workers subscribes, instead of each.
    pub once: bool,
    pub place: Place,
    /// Its index in the configuration's modules, and what is called; there when all of the configuration has been read.
    pub receiver: Option<(usize, Receiver)>,
}

/// What is called for a message.
#[derive(Clone)]
pub enum Receiver {
    Component,
    /// A function of an Extism plugin's.
    Export(extism_host::Function),
    /// An operation of a waPC guest's.
    Operation(Vec<u8>),
}

impl SubscriptionConf {
    /// Can its server speak TLS? A block may be called `rediss://name` for one who says `name` alone.
    pub fn may_be_tls(&self) -> bool {
        self.server.starts_with(b"rediss://") || !self.server.contains(&b':')
    }

    /// Does it say the same as another one?
    pub fn is_like(&self, other: &SubscriptionConf) -> bool {
        self.server == other.server
            && self.user == other.user
            && self.channels == other.channels
            && self.module == other.module
            && self.function == other.function
    }
}
