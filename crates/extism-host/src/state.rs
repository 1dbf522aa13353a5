//! What the host keeps for an instance.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use guest_host::wasi::Wasi;
use guest_host::{Capability, Denials, GuestData, LogLevel, Output};
use send_wrapper::SendWrapper;
use wasm_runtime::Guard;
use wasm_runtime::wasmtime::Memory;

use crate::functions::http::LastResponse;
use crate::functions::vars::Vars;
use crate::kernel::Kernel;
use crate::services::Services;
use crate::settings::Settings;
use crate::wait::Waiting;

/// The data of an instance's store.
pub struct State<S: Services> {
    pub guard: Guard,
    pub kernel: Kernel,
    pub settings: Arc<Settings>,
    pub vars: Vars,
    pub response: LastResponse,
    pub services: SendWrapper<S>,
    pub waiting: SendWrapper<Rc<Waiting>>,
    pub denials: SendWrapper<Denials>,
    pub started: Instant,
    output: Output,
    scratch: Vec<u8>,
    /// The memory of the plugin's only module.
    memory: Option<Memory>,
}

impl<S: Services> State<S> {
    pub fn new(services: S, settings: Arc<Settings>, guard: Guard) -> State<S> {
        State {
            guard,
            kernel: Kernel::default(),
            settings,
            vars: Vars::default(),
            response: LastResponse::default(),
            services: SendWrapper::new(services),
            waiting: SendWrapper::new(Rc::default()),
            denials: SendWrapper::new(Denials::default()),
            started: Instant::now(),
            output: Output::default(),
            scratch: Vec::new(),
            memory: None,
        }
    }

    /// Where the guard is, for [`Guard::attach`] and [`Guard::call`].
    pub fn guard(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// May the guest use this function? That it may not is logged once.
    #[inline]
    pub fn permits(&self, capability: Capability, function: &str) -> bool {
        let capabilities = &self.settings.capabilities;
        self.denials
            .permits(capabilities, capability, function, &*self.services)
    }

    /// A call has ended that left something to do.
    #[cold]
    pub fn end_call(&mut self) {
        self.guard.ended();
        let services = &self.services;
        self.output.end(|level, line| services.log(level, line));
    }
}

impl<S: Services> GuestData for State<S> {
    fn memory(&mut self) -> &mut Option<Memory> {
        // With several modules, each call is about the memory of the one that makes it.
        if self.settings.several {
            self.memory = None;
        }
        &mut self.memory
    }
}

impl<S: Services> Wasi for State<S> {
    fn environment(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.settings.env
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
        if self
            .output
            .write(level, text, |line| services.log(level, line))
        {
            self.guard.note_end();
        }
    }

    fn scratch(&mut self) -> &mut Vec<u8> {
        &mut self.scratch
    }
}
