//! What is said of a Redis service: where it is, and how to log in.

use std::time::Duration;

use crate::net::origin::Origin;
use crate::net::target::Target;
use crate::net::tls::{ServerName, Tls, UNNAMED};

/// Before an upstream's name: TLS.
const SECURE: &str = "rediss://";
const PLAIN: &str = "redis://";

/// Who logs in, and which database is chosen.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Login {
    pub username: Vec<u8>,
    /// Empty for no login.
    pub password: Vec<u8>,
    pub database: u32,
}

/// A Redis service.
#[derive(Clone)]
pub struct Service {
    pub target: Target,
    pub tls: Option<Tls>,
    pub login: Login,
    /// Bounds each call; zero for `wasm_call_read_timeout`.
    pub timeout: Duration,
}

impl Service {
    /// `name` has parameters behind a `?`. User and password are empty where the server asks for none. `timeout`: zero for
    /// `wasm_call_read_timeout`. `None`: there is no such upstream, or an unknown or broken parameter.
    pub fn new(
        origin: &Origin,
        name: &[u8],
        (username, password): (&[u8], &[u8]),
        timeout: Duration,
    ) -> Option<Service> {
        let (name, parameters) = split(name);
        let (target, tls) = target(origin, name)?;
        Some(Service {
            target,
            tls,
            login: Login {
                username: username.to_vec(),
                password: password.to_vec(),
                database: database(parameters)?,
            },
            timeout,
        })
    }
}

/// The upstream's name, and what follows behind a `?`.
pub fn split(service: &[u8]) -> (&[u8], &[u8]) {
    match service.iter().position(|&b| b == b'?') {
        Some(at) => (&service[..at], &service[at + 1..]),
        None => (service, b""),
    }
}

/// Can a Redis call go there that names this upstream?
pub fn is_target(origin: &Origin, name: &[u8]) -> bool {
    target(origin, name).is_some()
}

/// `rediss://name` is TLS, and so is an upstream block that is called so for a guest that only says
/// `name`.
fn target(origin: &Origin, name: &[u8]) -> Option<(Target, Option<Tls>)> {
    let (secure, name) = match name.strip_prefix(SECURE.as_bytes()) {
        Some(name) => (true, name),
        None => (false, name.strip_prefix(PLAIN.as_bytes()).unwrap_or(name)),
    };
    let block = [SECURE.as_bytes(), name].concat();
    let block = Target::parse(origin, &block);
    let secure = secure || block.is_some();
    let target = block.or_else(|| Target::parse(origin, name))?;
    let tls = match secure {
        true => Some(tls_of(name)?),
        false => None,
    };
    Some((target, tls))
}

/// TLS with the server of this name, or address.
pub fn tls_of(name: &[u8]) -> Option<Tls> {
    let name = match name.starts_with(b"unix:") {
        true => b"localhost",
        false => name,
    };
    ServerName::from_authority(name).map(|name| Tls {
        name,
        alpn: UNNAMED,
    })
}

/// The number of the database. What else may be said bounds how long Envoy collects commands before
/// it writes them; here those of one turn of the event loop go together, and none waits.
fn database(parameters: &[u8]) -> Option<u32> {
    let mut database = 0;
    for parameter in parameters.split(|&b| b == b'&').filter(|p| !p.is_empty()) {
        let (name, value) = std::str::from_utf8(parameter).ok()?.split_once('=')?;
        if !value.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let value: u32 = value.parse().ok()?;
        match name {
            "db" => database = value,
            "buffer_flush_timeout" | "max_buffer_size_before_flush" => {}
            _ => return None,
        }
    }
    Some(database)
}
