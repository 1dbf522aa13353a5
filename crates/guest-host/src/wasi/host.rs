//! What WASI's functions need of a host.

use std::time::Instant;

use wasm_runtime::wasmtime::Caller;

use super::errno::Errno;
use crate::capabilities::Capability;
use crate::level::LogLevel;
use crate::memory::GuestData;

/// The data of a store whose guest has WASI.
pub trait Wasi: GuestData {
    /// The only environment variables that the guest sees: name, value; neither has a NUL.
    fn environment(&self) -> &[(Vec<u8>, Vec<u8>)];

    /// Zero of the guest's monotonic clock.
    fn started(&self) -> Instant;

    /// May the guest use this function? A denial is the host's to log.
    fn permits(&mut self, capability: Capability, function: &str) -> bool;

    /// Takes what the guest has written to standard output (level info) or standard error (level error), in pieces as
    /// they come; see [`Output`](crate::Output).
    fn print(&mut self, level: LogLevel, text: &[u8]);

    /// A buffer that is kept between calls.
    fn scratch(&mut self) -> &mut Vec<u8>;
}

/// `Err(Notcapable)`: the guest may not use this function.
pub(super) fn require<T: Wasi>(
    caller: &mut Caller<'_, T>,
    capability: Capability,
    function: &str,
) -> Result<(), Errno> {
    match caller.data_mut().permits(capability, function) {
        true => Ok(()),
        false => Err(Errno::Notcapable),
    }
}
