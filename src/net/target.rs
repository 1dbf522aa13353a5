//! What a guest names as the upstream of a call.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ptr::NonNull;

use ngx::ffi::{
    NGX_HTTP_UPSTREAM_CREATE, ngx_http_upstream_main_conf_t, ngx_http_upstream_module,
    ngx_http_upstream_srv_conf_t,
};

use crate::net::address::Address;
use crate::net::origin::Origin;

/// A parsed upstream.
#[derive(Clone)]
pub enum Target {
    /// An `upstream` block of nginx's configuration.
    Upstream(Upstream),
    /// An IP address and port, or a Unix socket.
    Address(Address),
    /// A host to be resolved.
    Name { host: String, port: u16 },
}

/// An `upstream` block; lives as long as the configuration.
#[derive(Clone)]
pub struct Upstream {
    pub conf: NonNull<ngx_http_upstream_srv_conf_t>,
    pub name: String,
}

impl Target {
    /// The name of an `upstream` block, or `host:port`, `1.2.3.4:port`, `[v6]:port`, `unix:/path`
    /// (nginx's `unix:/path:` as well). `None`: there is no such upstream, for nothing says which
    /// port a host without one would have.
    pub fn parse(origin: &Origin, name: &[u8]) -> Option<Target> {
        if let Some(conf) = find_block(origin, name) {
            return Some(Target::Upstream(Upstream {
                conf,
                name: String::from_utf8_lossy(name).into_owned(),
            }));
        }
        if let Some(path) = name.strip_prefix(b"unix:") {
            let path = path.strip_suffix(b":").unwrap_or(path);
            return Address::unix(path).map(Target::Address);
        }
        let (host, port) = std::str::from_utf8(name).ok()?.rsplit_once(':')?;
        let port = parse_port(port)?;
        if let Some(v6) = host.strip_prefix('[') {
            let v6: Ipv6Addr = v6.strip_suffix(']')?.parse().ok()?;
            return Some(Target::Address(Address::ip(SocketAddr::new(
                v6.into(),
                port,
            ))));
        }
        if let Ok(v4) = host.parse::<Ipv4Addr>() {
            return Some(Target::Address(Address::ip(SocketAddr::new(
                v4.into(),
                port,
            ))));
        }
        is_host_name(host).then(|| Target::Name {
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Upstream(upstream) => f.write_str(&upstream.name),
            Target::Address(address) => address.fmt(f),
            Target::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// Can a call go there that names this upstream?
pub fn is_target(origin: &Origin, name: &[u8], grpc: bool) -> bool {
    let name = match grpc {
        true => scheme(name).1,
        false => name,
    };
    Target::parse(origin, name).is_some()
}

/// Is it the name of an `upstream` block?
pub fn is_upstream_block(origin: &Origin, name: &[u8], grpc: bool) -> bool {
    let name = match grpc {
        true => scheme(name).1,
        false => name,
    };
    find_block(origin, name).is_some()
}

/// Splits what a guest names the upstream into whether it wants TLS, and the name.
pub fn scheme(upstream: &[u8]) -> (bool, &[u8]) {
    const PREFIXES: [(&[u8], bool); 4] = [
        (b"https://", true),
        (b"grpcs://", true),
        (b"http://", false),
        (b"grpc://", false),
    ];
    let found = PREFIXES.iter().find_map(|(prefix, tls)| {
        let name = upstream.strip_prefix(*prefix)?;
        Some((*tls, name))
    });
    found.unwrap_or((false, upstream))
}

/// 1 to 65535, in digits alone.
fn parse_port(port: &str) -> Option<u16> {
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    port.parse().ok().filter(|&port| port != 0)
}

/// Can it be asked of DNS? Numbers alone would be a broken IP address.
pub fn is_host_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
        && !name.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// The `upstream` block of this name; case does not matter, as in nginx.
fn find_block(origin: &Origin, name: &[u8]) -> Option<NonNull<ngx_http_upstream_srv_conf_t>> {
    // SAFETY: nginx's upstream module is always there and has a main configuration, whose array
    // holds pointers to the blocks; it lives as long as the cycle.
    unsafe {
        let module = &raw const ngx_http_upstream_module;
        let index = (*module).ctx_index;
        let main: *const ngx_http_upstream_main_conf_t =
            (*origin.main_conf()?.add(index)).cast_const().cast();
        let blocks = (*main)
            .upstreams
            .as_slice::<*mut ngx_http_upstream_srv_conf_t>();
        blocks.iter().copied().find_map(|block| {
            let block = NonNull::new(block)?;
            let conf = block.as_ref();
            (conf.flags & NGX_HTTP_UPSTREAM_CREATE as usize != 0
                && conf.peer.init.is_some()
                && conf.host.as_bytes().eq_ignore_ascii_case(name))
            .then_some(block)
        })
    }
}
