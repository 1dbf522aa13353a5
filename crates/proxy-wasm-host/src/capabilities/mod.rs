//! Which host functions a guest may use.
//!
//! The functions form families ([`Capability`]). A function of a family that is denied does nothing
//! but answer [`Status::InternalFailure`], and WASI's errno `notcapable`; the first time that an
//! instance tries is logged.

mod syntax;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use crate::abi::{LogLevel, Status};
use crate::state::State;
use crate::traits::Proxy;

pub use syntax::CapabilityRules;

/// A family of host functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// HTTP calls.
    HttpCall,
    /// gRPC calls and streams.
    GrpcCall,
    /// Redis calls.
    Redis,
    /// The servers of a request's upstream: reading which there are, and choosing one.
    UpstreamHosts,
    SharedData,
    SharedQueue,
    /// Metrics: defining, changing and reading.
    Metrics,
    /// Setting properties and filter state; reading is free.
    PropertiesWrite,
    /// All environment variables of the process; [`VmConfig::env`](crate::VmConfig::env) are those
    /// that the proxy chose, so it is the proxy that heeds this one.
    Env,
    /// The time, also WASI's.
    Clock,
    /// WASI's random bytes.
    Random,
}

impl Capability {
    pub const ALL: [Capability; 11] = [
        Capability::HttpCall,
        Capability::GrpcCall,
        Capability::Redis,
        Capability::UpstreamHosts,
        Capability::SharedData,
        Capability::SharedQueue,
        Capability::Metrics,
        Capability::PropertiesWrite,
        Capability::Env,
        Capability::Clock,
        Capability::Random,
    ];

    /// As it is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Capability::HttpCall => "http_call",
            Capability::GrpcCall => "grpc_call",
            Capability::Redis => "redis",
            Capability::UpstreamHosts => "upstream_hosts",
            Capability::SharedData => "shared_data",
            Capability::SharedQueue => "shared_queue",
            Capability::Metrics => "metrics",
            Capability::PropertiesWrite => "properties_write",
            Capability::Env => "env",
            Capability::Clock => "clock",
            Capability::Random => "random",
        }
    }

    fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// Upstreams that calls may go to.
type Upstreams = Arc<[Vec<u8>]>;

/// What a guest may use; by default everything but [`Capability::Env`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// By [`Capability::bit`].
    allowed: u16,
    /// `None`: any.
    http_upstreams: Option<Upstreams>,
    grpc_upstreams: Option<Upstreams>,
    redis_upstreams: Option<Upstreams>,
}

impl Default for Capabilities {
    fn default() -> Capabilities {
        let mut capabilities = Capabilities {
            allowed: 0,
            http_upstreams: None,
            grpc_upstreams: None,
            redis_upstreams: None,
        };
        for capability in Capability::ALL {
            if capability != Capability::Env {
                capabilities.allow(capability);
            }
        }
        capabilities
    }
}

impl Capabilities {
    fn allow(&mut self, capability: Capability) {
        self.allowed |= capability.bit();
    }

    fn deny(&mut self, capability: Capability) {
        self.allowed &= !capability.bit();
    }

    pub fn allows(&self, capability: Capability) -> bool {
        self.allowed & capability.bit() != 0
    }

    /// The upstreams that calls of this family may go to; `None`: any.
    pub fn upstreams(&self, capability: Capability) -> Option<&[Vec<u8>]> {
        match capability {
            Capability::HttpCall => self.http_upstreams.as_deref(),
            Capability::GrpcCall => self.grpc_upstreams.as_deref(),
            Capability::Redis => self.redis_upstreams.as_deref(),
            _ => None,
        }
    }

    /// May a call of an allowed family go there?
    fn allows_upstream(&self, capability: Capability, upstream: &[u8]) -> bool {
        self.upstreams(capability)
            .is_none_or(|list| list.iter().any(|listed| same_upstream(listed, upstream)))
    }

    /// May the addresses of this host be asked for? Where a list says which upstreams there are,
    /// only those that they name: a question to DNS can carry data to whoever owns the domain.
    fn allows_host(&self, host: &[u8]) -> bool {
        [Capability::HttpCall, Capability::GrpcCall]
            .into_iter()
            .filter(|capability| self.allows(*capability))
            .any(|capability| {
                self.upstreams(capability)
                    .is_none_or(|list| list.iter().any(|listed| is_of_host(listed, host)))
            })
    }
}

/// Names of upstreams and hosts have no case, paths of sockets have.
fn same_upstream(listed: &[u8], upstream: &[u8]) -> bool {
    match listed.starts_with(b"unix:") {
        true => listed == upstream,
        false => listed.eq_ignore_ascii_case(upstream),
    }
}

/// Is it `host:port`?
fn is_of_host(listed: &[u8], host: &[u8]) -> bool {
    let colon = listed.iter().rposition(|&b| b == b':');
    colon.is_some_and(|colon| listed[..colon].eq_ignore_ascii_case(host))
}

/// What has been logged as denied in an instance: the families' bits, and [`RESOLVE`]. Instances that start with the state of
/// another one share its own.
#[derive(Clone, Default)]
pub(crate) struct Denied(Rc<Cell<u16>>);

/// For foreign functions that ask DNS.
const RESOLVE: u16 = 1 << Capability::ALL.len();

/// Longest name that is logged, in bytes.
const MAX_NAME: usize = 256;

impl<P: Proxy> State<P> {
    /// `Err(InternalFailure)`: the guest may not use this function.
    #[inline]
    pub fn require(&mut self, capability: Capability, function: &str) -> Result<(), Status> {
        match self.config.capabilities.allows(capability) {
            true => Ok(()),
            false => {
                let name = capability.name();
                self.deny(capability.bit(), |line| {
                    line.extend_from_slice(function.as_bytes());
                    line.extend_from_slice(b" is denied; allow=");
                    line.extend_from_slice(name.as_bytes());
                    line.extend_from_slice(b" permits it");
                })
            }
        }
    }

    /// The same for a call to an upstream, whose family is allowed.
    pub fn require_upstream(
        &mut self,
        capability: Capability,
        function: &str,
        upstream: &[u8],
    ) -> Result<(), Status> {
        let capabilities = &self.config.capabilities;
        if capabilities.allows_upstream(capability, upstream) {
            return Ok(());
        }
        let name = capability.name();
        self.deny(capability.bit(), |line| {
            line.extend_from_slice(function.as_bytes());
            push_quoted(line, b" to \"", upstream);
            line.extend_from_slice(b" is denied; allow=");
            line.extend_from_slice(name.as_bytes());
            line.extend_from_slice(b"(\xe2\x80\xa6) does not list that upstream");
        })
    }

    /// The same for a question to DNS.
    pub fn require_host(&mut self, function: &str, host: &[u8]) -> Result<(), Status> {
        let capabilities = &self.config.capabilities;
        if capabilities.allows_host(host) {
            return Ok(());
        }
        let listed = [Capability::HttpCall, Capability::GrpcCall]
            .iter()
            .any(|capability| capabilities.allows(*capability));
        self.deny(RESOLVE, |line| {
            line.extend_from_slice(function.as_bytes());
            push_quoted(line, b" of \"", host);
            line.extend_from_slice(b" is denied; ");
            line.extend_from_slice(match listed {
                true => b"neither allow=http_call(\xe2\x80\xa6) nor allow=grpc_call(\xe2\x80\xa6) lists that host",
                false => b"allow=http_call or allow=grpc_call permits it",
            });
        })
    }

    #[cold]
    fn deny(&mut self, bit: u16, say: impl FnOnce(&mut Vec<u8>)) -> Result<(), Status> {
        let denied = self.denied.0.get();
        if denied & bit == 0 {
            self.denied.0.set(denied | bit);
            let stream = self.stream();
            if self.proxy.log_enabled(stream, LogLevel::Error) {
                let mut line = Vec::new();
                say(&mut line);
                self.proxy.log(stream, LogLevel::Error, &line);
            }
        }
        Err(Status::InternalFailure)
    }
}

/// Appends a guest's name, which the proxy escapes.
fn push_quoted(line: &mut Vec<u8>, before: &[u8], name: &[u8]) {
    line.extend_from_slice(before);
    line.extend_from_slice(&name[..name.len().min(MAX_NAME)]);
    line.extend_from_slice(match name.len() > MAX_NAME {
        true => b"\xe2\x80\xa6\"".as_slice(),
        false => b"\"",
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(http: &[&str]) -> Capabilities {
        let list = http.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut capabilities = Capabilities {
            http_upstreams: Some(list),
            ..Capabilities::default()
        };
        capabilities.deny(Capability::GrpcCall);
        capabilities
    }

    #[test]
    fn upstreams_have_no_case_and_sockets_have() {
        let some = listed(&["Auth", "10.0.0.1:80", "unix:/run/Auth"]);
        let allows = |name: &str| some.allows_upstream(Capability::HttpCall, name.as_bytes());
        for name in ["auth", "AUTH", "10.0.0.1:80", "unix:/run/Auth"] {
            assert!(allows(name), "{name}");
        }
        for name in [
            "",
            "aut",
            "auth2",
            "auth\0",
            "10.0.0.1:8080",
            "unix:/run/auth",
            "UNIX:/run/Auth",
        ] {
            assert!(!allows(name), "{name}");
        }
        assert!(Capabilities::default().allows_upstream(Capability::HttpCall, b"any"));
    }

    #[test]
    fn hosts_are_those_of_listed_upstreams() {
        let some = listed(&["auth", "api.test:443"]);
        assert!(some.allows_host(b"api.test"));
        assert!(some.allows_host(b"API.test"));
        for host in ["auth", "test", "secret.api.test", "api.test:443", ""] {
            assert!(!some.allows_host(host.as_bytes()), "{host}");
        }
        let mut both = some.clone();
        both.allow(Capability::GrpcCall);
        assert!(both.allows_host(b"any.test"), "gRPC calls have no list");
        both.deny(Capability::GrpcCall);
        both.deny(Capability::HttpCall);
        assert!(!both.allows_host(b"api.test"));
    }
}
