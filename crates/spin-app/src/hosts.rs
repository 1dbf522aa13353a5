//! Whom a component may call: `allowed_outbound_hosts`, in Spin's syntax.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::str::FromStr;

/// A list of whom a component may call. Empty: nobody.
///
/// An entry is `scheme://host[:port]`:
///
/// | part | |
/// |---|---|
/// | scheme | letters, or `*` |
/// | host | a name, an address (IPv6 in brackets), `*`, `*.example.com` (names below it, at any depth, and not itself), a network (`10.0.0.0/8`, `fd00::/8`, without brackets), or `self` |
/// | port | a number, `*`, a range without its end (`8000..8010` is up to 8009), or none: the scheme's own |
///
/// Source: Spin's `outbound-networking-config`. Beyond Spin: names may be written with capitals, an address in brackets needs no port,
/// and a network of IPv6 holds for addresses in brackets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts(Vec<AllowedHost>);

/// An entry that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" {reason}", .entry.escape_debug())]
pub struct HostError {
    /// As it was written.
    pub entry: String,
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("has no scheme: write http://…, https://… or *://…")]
    NoScheme,
    #[error("allows everything: write *://*:* if that is meant")]
    AllowAll,
    #[error("has a scheme that is not of letters")]
    Scheme,
    #[error("has no host")]
    NoHost,
    #[error("has a path")]
    Path,
    #[error("has a * that is not all of the host, nor all of its first label")]
    Wildcard,
    #[error("has a list in braces, which Spin does not know yet")]
    List,
    #[error("has an address in brackets that is none")]
    Address,
    #[error("has no port, and its scheme has none of its own")]
    NoPort,
    #[error("has a port that is neither a number, nor a range like 8000..8010, nor *")]
    Port,
}

impl AllowedHosts {
    /// Reads entries whose templates have been filled in. The error names the first that is wrong.
    pub fn parse<S: AsRef<str>>(
        entries: impl IntoIterator<Item = S>,
    ) -> Result<AllowedHosts, HostError> {
        let entries = entries.into_iter();
        let hosts = entries.map(|entry| entry.as_ref().parse());
        hosts.collect::<Result<_, _>>().map(AllowedHosts)
    }

    /// Adds one entry.
    pub fn add(&mut self, entry: &str) -> Result<(), HostError> {
        self.0.push(entry.parse()?);
        Ok(())
    }

    /// Nobody may be called.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// May this be called? `host`: a name or an address, IPv6 with or without brackets; `port`: `None` is the scheme's own.
    pub fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let port = port.or_else(|| well_known_port(scheme));
        let allowed = |entry: &AllowedHost| {
            entry.scheme.allows(scheme) && entry.host.allows(host) && entry.port.allows(port)
        };
        self.0.iter().any(allowed)
    }

    /// May the application itself be called, as by a URL that is only a path, with one of these schemes? It is if an entry's host is
    /// `self` or `*`.
    pub fn allows_self(&self, schemes: &[&str]) -> bool {
        let allowed = |entry: &AllowedHost| {
            matches!(entry.host, Host::Any | Host::Itself)
                && schemes.iter().any(|scheme| entry.scheme.allows(scheme))
        };
        self.0.iter().any(allowed)
    }

    /// May anybody at all be called with one of these schemes?
    pub fn allows_any_of(&self, schemes: &[&str]) -> bool {
        let mut entries = self.0.iter();
        entries.any(|entry| schemes.iter().any(|scheme| entry.scheme.allows(scheme)))
    }
}

impl fmt::Display for AllowedHosts {
    /// The entries as they were written, with spaces between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, entry) in self.0.iter().enumerate() {
            let space = if number > 0 { " " } else { "" };
            write!(f, "{space}{}", entry.original)?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct AllowedHost {
    original: String,
    scheme: Scheme,
    host: Host,
    port: Port,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Scheme {
    Any,
    One(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Any,
    /// Names that end so, in lower case and with its dot.
    Below(String),
    /// The application.
    Itself,
    /// A name in lower case.
    Name(String),
    Address(IpAddr),
    Network(Network),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Port {
    Any,
    One(u16),
    Range(Range<u16>),
}

impl FromStr for AllowedHost {
    type Err = HostError;

    fn from_str(entry: &str) -> Result<AllowedHost, HostError> {
        let wrong = |reason| HostError {
            entry: entry.to_owned(),
            reason,
        };
        let (scheme, host, port) = split(entry.trim()).map_err(wrong)?;
        Ok(AllowedHost {
            original: entry.trim().to_owned(),
            scheme: Scheme::parse(scheme).map_err(wrong)?,
            host: Host::parse(host).map_err(wrong)?,
            port: Port::parse(port, scheme).map_err(wrong)?,
        })
    }
}

/// Scheme, host and port; the port is empty if there is none.
fn split(entry: &str) -> Result<(&str, &str, &str), Reason> {
    let (scheme, rest) = entry.split_once("://").ok_or(match entry {
        "*" | "insecure:allow-all" => Reason::AllowAll,
        _ => Reason::NoScheme,
    })?;
    // What is in brackets has colons of its own; a network has none, so that the last colon is the port's.
    let colon = match rest.rfind(']') {
        Some(end) => rest[end..].find(':').map(|at| end + at),
        None => rest.rfind(':'),
    };
    let (host, port) = match colon {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, ""),
    };
    match port.split_once('/') {
        Some((port, "")) => Ok((scheme, host, port)),
        Some(_) => Err(Reason::Path),
        None => Ok((scheme, host, port)),
    }
}

impl Scheme {
    fn parse(scheme: &str) -> Result<Scheme, Reason> {
        match scheme {
            "*" => Ok(Scheme::Any),
            _ if scheme.starts_with('{') => Err(Reason::List),
            _ if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphabetic()) => {
                Err(Reason::Scheme)
            }
            _ => Ok(Scheme::One(scheme.to_ascii_lowercase())),
        }
    }

    fn allows(&self, scheme: &str) -> bool {
        match self {
            Scheme::Any => true,
            Scheme::One(own) => own.eq_ignore_ascii_case(scheme),
        }
    }
}

impl Host {
    fn parse(host: &str) -> Result<Host, Reason> {
        let host = host.trim();
        match host {
            "*" => return Ok(Host::Any),
            "self" | "self.alt" => return Ok(Host::Itself),
            _ if host.starts_with('{') => return Err(Reason::List),
            _ => {}
        }
        if let Some(network) = Network::parse(host) {
            return Ok(Host::Network(network));
        }
        let host = host.trim_end_matches('/');
        if host.contains('/') {
            return Err(Reason::Path);
        }
        if host.is_empty() {
            return Err(Reason::NoHost);
        }
        if let Some(bracketed) = host.strip_prefix('[') {
            let address = bracketed
                .strip_suffix(']')
                .and_then(|host| host.parse().ok());
            return address
                .map(|ip| Host::Address(IpAddr::V6(ip)))
                .ok_or(Reason::Address);
        }
        if let Ok(address) = host.parse() {
            return Ok(Host::Address(address));
        }
        let below = host.strip_prefix("*.");
        if below.unwrap_or(host).contains('*') || below == Some("") {
            return Err(Reason::Wildcard);
        }
        let name = host.to_ascii_lowercase();
        Ok(match below {
            Some(_) => Host::Below(name[1..].to_owned()),
            None => Host::Name(name),
        })
    }

    fn allows(&self, host: &str) -> bool {
        match self {
            Host::Any => true,
            Host::Itself => false,
            Host::Name(name) => name.eq_ignore_ascii_case(host),
            Host::Below(end) => {
                let start = host.len().checked_sub(end.len());
                start.is_some_and(|start| {
                    host.as_bytes()[start..].eq_ignore_ascii_case(end.as_bytes())
                })
            }
            Host::Address(own) => address(host) == Some(*own),
            Host::Network(network) => address(host).is_some_and(|ip| network.contains(ip)),
        }
    }
}

/// An address, IPv6 with or without brackets.
fn address(host: &str) -> Option<IpAddr> {
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    bracketed.unwrap_or(host).parse().ok()
}

impl Port {
    fn parse(port: &str, scheme: &str) -> Result<Port, Reason> {
        match port {
            "" => {
                let own = well_known_port(scheme);
                return own.map(Port::One).ok_or(Reason::NoPort);
            }
            "*" => return Ok(Port::Any),
            _ if port.starts_with('{') => return Err(Reason::List),
            _ => {}
        }
        let number = |text: &str| text.parse().map_err(|_| Reason::Port);
        match port.split_once("..") {
            Some((start, end)) => Ok(Port::Range(number(start)?..number(end)?)),
            None => number(port).map(Port::One),
        }
    }

    /// `None`: a scheme without a port of its own, and none was named.
    fn allows(&self, port: Option<u16>) -> bool {
        match self {
            Port::Any => true,
            Port::One(own) => port == Some(*own),
            Port::Range(range) => port.is_some_and(|port| range.contains(&port)),
        }
    }
}

fn well_known_port(scheme: &str) -> Option<u16> {
    const PORTS: [(&str, u16); 6] = [
        ("http", 80),
        ("https", 443),
        ("redis", 6379),
        ("postgres", 5432),
        ("mysql", 3306),
        ("mqtt", 1883),
    ];
    let mut ports = PORTS.iter();
    let found = ports.find(|(name, _)| name.eq_ignore_ascii_case(scheme));
    found.map(|(_, port)| *port)
}

/// Addresses that begin with the same bits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Network {
    /// Which family, and its bits; those behind the prefix are zero.
    is_v4: bool,
    bits: u128,
    mask: u128,
}

impl Network {
    /// An address, a slash and a number of bits; bits behind those do not count.
    fn parse(text: &str) -> Option<Network> {
        let (address, len) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let digits = !len.is_empty() && len.bytes().all(|b| b.is_ascii_digit());
        let len: u32 = digits.then(|| len.parse().ok())??;
        let width = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        let mask = (len <= width).then(|| match width - len {
            128 => 0,
            rest => u128::MAX << rest,
        })?;
        Some(Network {
            is_v4: address.is_ipv4(),
            bits: bits(address) & mask,
            mask,
        })
    }

    fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_v4 && bits(address) & self.mask == self.bits
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}
