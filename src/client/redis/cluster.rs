//! Redis Cluster: redirections to other nodes, and what is remembered of them.
//!
//! Source: the Redis Cluster specification, "MOVED redirection" and "ASK redirection".

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::client::redis::link::Key;
use crate::client::redis::service::{Service, tls_of};
use crate::net::address::Address;
use crate::net::target::{Target, is_host_name};
use crate::net::tls::Tls;

/// Services whose nodes are remembered.
const MAX_SERVICES: usize = 64;
/// Longest reply that is looked at, in bytes.
const MAX_LINE: usize = 512;

/// Where a server sends a command.
#[derive(Debug, PartialEq, Eq)]
pub struct Redirect {
    pub slot: u16,
    /// For this command alone, which is to come behind ASKING.
    pub ask: bool,
    /// Empty: the one that has said so.
    host: String,
    port: u16,
}

/// Another node of a service.
#[derive(Clone)]
pub struct Node {
    pub target: Target,
    pub tls: Option<Tls>,
}

impl Redirect {
    /// `-MOVED slot host:port` and `-ASK slot host:port`.
    pub fn parse(reply: &[u8]) -> Option<Redirect> {
        if !reply.starts_with(b"-") || reply.len() > MAX_LINE {
            return None;
        }
        let line = std::str::from_utf8(reply).ok()?.trim_end();
        let mut words = line.split(' ');
        let ask = match words.next()? {
            "-MOVED" => false,
            "-ASK" => true,
            _ => return None,
        };
        let slot = words.next()?.parse().ok().filter(|slot| *slot < 16384)?;
        let (host, port) = words.next()?.rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']);
        if !(host.is_empty() || host.parse::<IpAddr>().is_ok() || is_host_name(host)) {
            return None;
        }
        Some(Redirect {
            slot,
            ask,
            host: host.to_ascii_lowercase(),
            port: port.parse().ok().filter(|port| *port != 0)?,
        })
    }

    /// The node that is meant; `from` is the host of the one that has said so.
    pub fn node(&self, service: &Service, from: &str) -> Option<Node> {
        let host = match self.host.as_str() {
            "" if from.starts_with("unix:") => return None,
            "" => host_of(from),
            host => host,
        };
        let target = match host.parse::<IpAddr>() {
            Ok(ip) => Target::Address(Address::ip(SocketAddr::new(ip, self.port))),
            Err(_) if !is_host_name(host) => return None,
            Err(_) => Target::Name {
                host: host.to_owned(),
                port: self.port,
            },
        };
        let name = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        let tls = match &service.tls {
            Some(_) => Some(tls_of(name.as_bytes())?),
            None => None,
        };
        Some(Node { target, tls })
    }
}

/// The host of `host:port` or `[v6]:port`.
fn host_of(server: &str) -> &str {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    host.trim_matches(['[', ']'])
}

/// Which node has a slot, as MOVED has told.
#[derive(Default)]
pub struct Slots(HashMap<Key, HashMap<u16, Node>>);

impl Slots {
    pub fn node(&self, service: &Key, slot: Option<u16>) -> Option<Node> {
        match self.0.is_empty() {
            true => None,
            false => self.0.get(service)?.get(&slot?).cloned(),
        }
    }

    pub fn moved(&mut self, service: &Key, slot: u16, node: Node) {
        if self.0.len() >= MAX_SERVICES && !self.0.contains_key(service) {
            self.0.clear();
        }
        let slots = self.0.entry(service.clone()).or_default();
        slots.insert(slot, node);
    }

    /// A node cannot be reached: the service itself is asked again.
    pub fn lost(&mut self, service: &Key, node: &Node) {
        let lost = node.target.to_string();
        if let Some(slots) = self.0.get_mut(service) {
            slots.retain(|_, node| node.target.to_string() != lost);
        }
    }
}
