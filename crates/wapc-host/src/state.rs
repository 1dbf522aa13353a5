//! What the host keeps for an instance.

use std::mem;
use std::rc::Rc;
use std::time::Instant;

use guest_host::wasi::Wasi;
use guest_host::{
    Capabilities, Capability, Denials, GuestData, GuestState, LogLevel, Output, Services,
};
use wasm_runtime::wasmtime::Memory;
use wasm_runtime::{Guard, Limits};

use crate::exchange::Exchange;

/// What a plugin is started with.
#[derive(Clone, Debug, Default)]
pub struct PluginConfig {
    /// The only environment variables that the guest sees: name, value; neither has a NUL.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    pub limits: Limits,
    pub capabilities: Capabilities,
}

/// The data of an instance's store.
pub(crate) struct State<S: Services> {
    pub services: S,
    pub config: Rc<PluginConfig>,
    pub exchange: Exchange,
    pub denials: Denials,
    /// Holds the instance to its limits.
    pub guard: Guard,
    /// Zero of the guest's monotonic clock.
    pub started: Instant,
    /// The guest's exported memory, looked up at first use.
    pub memory: Option<Memory>,
    /// Lines that the guest writes and has not ended.
    output: Output,
    scratch: Vec<u8>,
}

impl<S: Services> State<S> {
    pub fn new(services: S, config: Rc<PluginConfig>, guard: Guard) -> State<S> {
        State {
            services,
            config,
            exchange: Exchange::default(),
            denials: Denials::default(),
            guard,
            started: Instant::now(),
            memory: None,
            output: Output::default(),
            scratch: Vec::new(),
        }
    }

    /// May the guest use this function? That it may not is logged once.
    #[inline]
    pub fn permits(&self, capability: Capability, function: &str) -> bool {
        let capabilities = &self.config.capabilities;
        self.denials
            .permits(capabilities, capability, function, &self.services)
    }

    /// Makes it that of another instance, which starts anew. What stands for parts of the instance stays.
    pub fn replace(&mut self, services: S) {
        let new = State::new(services, self.config.clone(), self.guard.clone());
        let old = mem::replace(self, new);
        self.memory = old.memory;
        self.scratch = old.scratch;
    }
}

impl<S: Services + 'static> GuestData for State<S> {
    #[inline]
    fn memory(&mut self) -> &mut Option<Memory> {
        &mut self.memory
    }
}

impl<S: Services + 'static> GuestState for State<S> {
    #[inline]
    fn guard(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// Output that has no end yet is told.
    #[cold]
    fn end_call(&mut self) {
        self.guard.ended();
        let services = &self.services;
        self.output.end(|level, line| services.log(level, line));
    }
}

impl<S: Services + 'static> Wasi for State<S> {
    fn environment(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.config.env
    }

    fn started(&self) -> Instant {
        self.started
    }

    fn permits(&mut self, capability: Capability, function: &str) -> bool {
        State::permits(self, capability, function)
    }

    fn print(&mut self, level: LogLevel, text: &[u8]) {
        let services = &self.services;
        if !services.log_enabled(level) {
            return;
        }
        let waits = self
            .output
            .write(level, text, |line| services.log(level, line));
        if waits {
            self.guard.note_end();
        }
    }

    fn scratch(&mut self) -> &mut Vec<u8> {
        &mut self.scratch
    }
}
