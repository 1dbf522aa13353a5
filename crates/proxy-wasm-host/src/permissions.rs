//! What a guest may use: a function that it may not answers [`Status::InternalFailure`], and the first time of its family
//! is logged.

use guest_host::{Capability, Denial, LogLevel};

use crate::abi::Status;
use crate::state::State;
use crate::traits::Proxy;

impl<P: Proxy> State<P> {
    /// `Err(InternalFailure)`: the guest may not use this function.
    #[inline]
    pub fn require(&mut self, capability: Capability, function: &str) -> Result<(), Status> {
        let required = self.config.capabilities.require(capability, function);
        required.map_err(|denial| self.denied(&denial))
    }

    /// The same for a call to an upstream, whose family is allowed.
    pub fn require_upstream(
        &mut self,
        capability: Capability,
        function: &str,
        upstream: &[u8],
    ) -> Result<(), Status> {
        let capabilities = &self.config.capabilities;
        let required = capabilities.require_upstream(capability, function, upstream);
        required.map_err(|denial| self.denied(&denial))
    }

    /// The same for a question to DNS.
    pub fn require_host(&mut self, function: &str, host: &[u8]) -> Result<(), Status> {
        let required = self.config.capabilities.require_host(function, host);
        required.map_err(|denial| self.denied(&denial))
    }

    #[cold]
    fn denied(&self, denial: &Denial<'_>) -> Status {
        let stream = self.stream();
        if self.denials.note(denial) && self.proxy.log_enabled(stream, LogLevel::Error) {
            self.proxy.log(stream, LogLevel::Error, &denial.line());
        }
        Status::InternalFailure
    }
}
