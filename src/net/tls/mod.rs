//! TLS with nginx's own functions over OpenSSL.

#[cfg(ngx_feature = "ssl")]
#[path = "openssl.rs"]
mod imp;
#[cfg(not(ngx_feature = "ssl"))]
#[path = "none.rs"]
mod imp;
#[cfg(ngx_feature = "ssl")]
mod roots;

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

pub use imp::{SslContext, handshake, is_tls, serves};

use crate::nginx::conf::Cf;

/// Longest chain of certificates between the server's and a trusted one; OpenSSL's own limit.
/// nginx's default of 1 for upstreams would refuse most public servers.
pub const DEFAULT_DEPTH: i32 = 100;

/// Whom to trust.
#[derive(Clone, PartialEq, Eq)]
pub struct Trust {
    pub verify: bool,
    pub depth: i32,
    /// As in the directive; `None` for the system's store.
    pub file: Option<Box<[u8]>>,
}

/// A mistake, which has been logged.
#[derive(Debug)]
pub struct Logged;

/// The contexts of a configuration, one for each kind of trust.
#[derive(Default)]
pub struct SslContexts(RefCell<Vec<(Trust, Rc<SslContext>)>>);

impl SslContexts {
    /// The context for calls that trust so; see [`SslContext::new`].
    pub fn context(&self, cf: Cf<'_>, trust: &Trust) -> Result<Option<Rc<SslContext>>, Logged> {
        let mut known = self.0.borrow_mut();
        if let Some((_, context)) = known.iter().find(|(other, _)| other == trust) {
            return Ok(Some(context.clone()));
        }
        let new = SslContext::new(cf, trust)?;
        known.extend(new.clone().map(|context| (trust.clone(), context)));
        Ok(new)
    }
}

/// Whose certificate a server must show.
#[derive(Clone, PartialEq, Eq)]
pub enum ServerName {
    /// Sent as SNI.
    Dns(String),
    /// Not sent: SNI knows no addresses.
    Ip(IpAddr),
}

impl ServerName {
    /// From `:authority`, with or without a port; `None` when there is no host in it.
    pub fn from_authority(authority: &[u8]) -> Option<ServerName> {
        let text = std::str::from_utf8(authority).ok()?;
        if let Some(v6) = text.strip_prefix('[') {
            let (v6, _) = v6.split_once(']')?;
            return Some(ServerName::Ip(IpAddr::V6(v6.parse().ok()?)));
        }
        let host = text.split_once(':').map_or(text, |(host, _)| host);
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Some(ServerName::Ip(ip));
        }
        // RFC 6066, section 3: the name has no trailing dot.
        let host = host.strip_suffix('.').unwrap_or(host);
        let valid =
            !host.is_empty() && host.len() <= 255 && host.bytes().all(|b| b.is_ascii_graphic());
        valid.then(|| ServerName::Dns(host.to_ascii_lowercase()))
    }
}

impl std::fmt::Display for ServerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ServerName::Dns(name) => f.write_str(name),
            ServerName::Ip(ip) => ip.fmt(f),
        }
    }
}

/// HTTP/1.1
pub const HTTP_1: &[u8] = b"\x08http/1.1";
/// HTTP/2
pub const HTTP_2: &[u8] = b"\x02h2";
/// What has no name there.
pub const UNNAMED: &[u8] = b"";

/// TLS as a call wants it.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    pub name: ServerName,
    /// What is said to be spoken, as ALPN writes it (RFC 7301): one of the constants.
    pub alpn: &'static [u8],
}
