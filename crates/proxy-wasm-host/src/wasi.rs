//! What WASI's functions, and others that all kinds of guests have, need of a VM's state.

use std::time::Instant;

use guest_host::wasi::Wasi;
use guest_host::{Capability, GuestData, LogLevel};
use wasm_runtime::wasmtime::Memory;

use crate::state::State;
use crate::traits::Proxy;

impl<P: Proxy> GuestData for State<P> {
    #[inline]
    fn memory(&mut self) -> &mut Option<Memory> {
        &mut self.memory
    }
}

impl<P: Proxy> Wasi for State<P> {
    fn environment(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.config.env
    }

    fn started(&self) -> Instant {
        self.started
    }

    fn permits(&mut self, capability: Capability, function: &str) -> bool {
        self.require(capability, function).is_ok()
    }

    fn print(&mut self, level: LogLevel, text: &[u8]) {
        if !self.proxy.log_enabled(self.stream(), level) {
            return;
        }
        let mut output = std::mem::take(&mut self.output);
        let waits = output.write(level, text, |line| {
            self.proxy.log(self.stream(), level, line);
        });
        self.output = output;
        if waits {
            self.guard.note_end();
        }
    }

    fn scratch(&mut self) -> &mut Vec<u8> {
        &mut self.scratch
    }
}

impl<P: Proxy> State<P> {
    /// A call has ended that left something to do: output that has no end yet is told.
    #[cold]
    pub fn end_call(&mut self) {
        self.guard.ended();
        let mut output = std::mem::take(&mut self.output);
        output.end(|level, line| self.proxy.log(self.stream(), level, line));
    }
}
