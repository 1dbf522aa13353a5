//! What is told of a function that a guest may not use.

use std::cell::Cell;
use std::rc::Rc;

use super::allowed::Capabilities;
use super::family::{Capability, RESOLVE};
use crate::level::LogLevel;
use crate::services::Services;

/// Longest name that is logged, in bytes.
const MAX_NAME: usize = 256;

/// Why a guest may not do what it has tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial<'a> {
    /// The function's family is denied.
    Family {
        function: &'a str,
        capability: Capability,
    },
    /// The upstream of a call is not listed.
    Upstream {
        function: &'a str,
        capability: Capability,
        upstream: &'a [u8],
    },
    /// The host that a question to DNS is about is not listed.
    Host {
        function: &'a str,
        host: &'a [u8],
        /// There is a list.
        listed: bool,
    },
}

/// What has been logged as denied in an instance. Clones share it: instances that start with the state of another one.
#[derive(Clone, Debug, Default)]
pub struct Denials(Rc<Cell<u32>>);

impl Denials {
    /// Notes a denial; `false` when one of the same kind was noted before, so that it is not to be logged.
    pub fn note(&self, denial: &Denial<'_>) -> bool {
        let bit = match denial {
            Denial::Family { capability, .. } | Denial::Upstream { capability, .. } => {
                capability.bit()
            }
            Denial::Host { .. } => RESOLVE,
        };
        let before = self.0.replace(self.0.get() | bit);
        before & bit == 0
    }

    /// May a guest use this function? That it may not is logged once.
    #[inline]
    pub fn permits<S: Services>(
        &self,
        capabilities: &Capabilities,
        capability: Capability,
        function: &str,
        services: &S,
    ) -> bool {
        match capabilities.require(capability, function) {
            Ok(()) => true,
            Err(denial) => {
                self.tell(&denial, services);
                false
            }
        }
    }

    #[cold]
    fn tell<S: Services>(&self, denial: &Denial<'_>, services: &S) {
        if self.note(denial) && services.log_enabled(LogLevel::Error) {
            services.log(LogLevel::Error, &denial.line());
        }
    }
}

impl Capabilities {
    /// May this function be used?
    #[inline]
    pub fn require<'a>(&self, capability: Capability, function: &'a str) -> Result<(), Denial<'a>> {
        match self.allows(capability) {
            true => Ok(()),
            false => Err(Denial::Family {
                function,
                capability,
            }),
        }
    }

    /// The same for a call to an upstream, whose family is allowed.
    pub fn require_upstream<'a>(
        &self,
        capability: Capability,
        function: &'a str,
        upstream: &'a [u8],
    ) -> Result<(), Denial<'a>> {
        match self.allows_upstream(capability, upstream) {
            true => Ok(()),
            false => Err(Denial::Upstream {
                function,
                capability,
                upstream,
            }),
        }
    }

    /// The same for a question to DNS.
    pub fn require_host<'a>(&self, function: &'a str, host: &'a [u8]) -> Result<(), Denial<'a>> {
        match self.allows_host(host) {
            true => Ok(()),
            false => Err(Denial::Host {
                function,
                host,
                listed: self.allows(Capability::HttpCall) || self.allows(Capability::GrpcCall),
            }),
        }
    }
}

impl Denial<'_> {
    /// The line for the log. Names of the guest's are in it as they are: the proxy escapes them.
    pub fn line(&self) -> Vec<u8> {
        let mut line = Vec::new();
        let mut push = |text: &[u8]| line.extend_from_slice(text);
        match *self {
            Denial::Family {
                function,
                capability,
            } => {
                push(function.as_bytes());
                push(b" is denied; allow=");
                push(capability.name().as_bytes());
                push(b" permits it");
            }
            Denial::Upstream {
                function,
                capability,
                upstream,
            } => {
                push(function.as_bytes());
                push(b" to ");
                quoted(upstream, &mut push);
                push(b" is denied; allow=");
                push(capability.name().as_bytes());
                push("(…) does not list that upstream".as_bytes());
            }
            Denial::Host {
                function,
                host,
                listed,
            } => {
                push(function.as_bytes());
                push(b" of ");
                quoted(host, &mut push);
                push(b" is denied; ");
                push(match listed {
                    true => "neither allow=http_call(…) nor allow=grpc_call(…) lists that host"
                        .as_bytes(),
                    false => b"allow=http_call or allow=grpc_call permits it",
                });
            }
        }
        line
    }
}

/// A guest's name, cut where it is long.
fn quoted(name: &[u8], push: &mut impl FnMut(&[u8])) {
    push(b"\"");
    push(&name[..name.len().min(MAX_NAME)]);
    if name.len() > MAX_NAME {
        push("…".as_bytes());
    }
    push(b"\"");
}
