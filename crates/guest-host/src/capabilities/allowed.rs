//! What a guest may use.

use std::sync::Arc;

use super::family::Capability;

/// Upstreams that calls may go to.
pub(super) type Upstreams = Arc<[Vec<u8>]>;

/// What a guest may use; by default all that [is there by default](Capability::is_default).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// By [`Capability::bit`].
    allowed: u32,
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
        for capability in Capability::ALL.iter().filter(|c| c.is_default()) {
            capabilities.allow(*capability);
        }
        capabilities
    }
}

impl Capabilities {
    pub(super) fn allow(&mut self, capability: Capability) {
        self.allowed |= capability.bit();
    }

    pub(super) fn deny(&mut self, capability: Capability) {
        self.allowed &= !capability.bit();
    }

    #[inline]
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

    /// Lists the upstreams of a family that has some.
    pub(super) fn list(&mut self, capability: Capability, upstreams: Option<Upstreams>) {
        match capability {
            Capability::HttpCall => self.http_upstreams = upstreams,
            Capability::GrpcCall => self.grpc_upstreams = upstreams,
            Capability::Redis => self.redis_upstreams = upstreams,
            _ => {}
        }
    }

    /// May a call of an allowed family go there?
    pub(super) fn allows_upstream(&self, capability: Capability, upstream: &[u8]) -> bool {
        self.upstreams(capability)
            .is_none_or(|list| list.iter().any(|listed| same_upstream(listed, upstream)))
    }

    /// May the addresses of this host be asked for? Where a list says which upstreams there are,
    /// only those that they name: a question to DNS can carry data to whoever owns the domain.
    pub(super) fn allows_host(&self, host: &[u8]) -> bool {
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
