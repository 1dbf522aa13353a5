//! What the host keeps for an instance.

use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use guest_host::wasi::Wasi;
use guest_host::{
    Capabilities, Capability, Denial, Denials, GuestData, GuestState, LogLevel, Output,
};
use wasm_runtime::wasmtime::Memory;
use wasm_runtime::{Guard, Limits};

use crate::answer::Answer;
use crate::error::Misuse;
use crate::exchange::{BodyKind, Exchange, Proxy};
use crate::features::Features;

/// What a guest is started with.
#[derive(Clone, Debug, Default)]
pub struct VmConfig {
    /// What `get_config` answers.
    pub configuration: Arc<[u8]>,
    /// The only environment variables that the guest sees: name, value; neither has a NUL.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    pub limits: Limits,
    pub capabilities: Capabilities,
}

/// How far the request is that an instance serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There is none, or the next handler is at it.
    #[default]
    Idle,
    /// `handle_request` runs.
    Request,
    /// `handle_response` runs.
    Response,
}

/// What is kept of the request that an instance serves.
pub(crate) struct Serving<E> {
    pub exchange: Option<E>,
    pub stage: Stage,
    /// The guest's, and those that it has asked for in this request.
    pub features: Features,
    /// What it has said of the response before next.
    pub answer: Answer,
    /// What it has written in the place of a body that there is.
    pub request_body: Option<Vec<u8>>,
    pub response_body: Option<Vec<u8>>,
    /// How far it has read them.
    pub request_read: usize,
    pub response_read: usize,
    /// So much of the request's body is not there for the next handler.
    pub eaten: usize,
}

impl<E> Default for Serving<E> {
    fn default() -> Serving<E> {
        Serving {
            exchange: None,
            stage: Stage::Idle,
            features: Features::default(),
            answer: Answer::default(),
            request_body: None,
            response_body: None,
            request_read: 0,
            response_read: 0,
            eaten: 0,
        }
    }
}

impl<E: Exchange> Serving<E> {
    /// The request; it is misuse to ask where there is none.
    #[inline]
    pub fn exchange(&self) -> Result<&E, Misuse> {
        self.exchange.as_ref().ok_or(Misuse::NoRequest)
    }

    /// The request, as long as the next handler has not been called.
    #[inline]
    pub fn before_next(&self, what: &'static str) -> Result<&E, Misuse> {
        match self.stage {
            Stage::Response => Err(Misuse::Late(what)),
            _ => self.exchange(),
        }
    }

    /// Has the next handler been called? What is asked for is there then only with [`Features::BUFFER_RESPONSE`].
    #[inline]
    pub fn is_response(&self, what: &'static str) -> Result<bool, Misuse> {
        self.exchange()?;
        match self.stage {
            Stage::Response if !self.features.has(Features::BUFFER_RESPONSE) => {
                Err(Misuse::LateWithout(what, "buffer_response"))
            }
            stage => Ok(stage == Stage::Response),
        }
    }

    /// Where the guest's own bytes of a body are.
    pub fn written(&mut self, kind: BodyKind) -> &mut Option<Vec<u8>> {
        match kind {
            BodyKind::Request => &mut self.request_body,
            BodyKind::Response => &mut self.response_body,
        }
    }
}

/// The data of an instance's store.
pub(crate) struct State<P: Proxy> {
    pub proxy: P,
    pub config: Rc<VmConfig>,
    /// Those that the guest has asked for in its start.
    pub features: Features,
    pub serving: Serving<P::Exchange>,
    pub denials: Denials,
    /// Holds the instance to its limits.
    pub guard: Guard,
    /// Zero of the guest's monotonic clock.
    pub started: Instant,
    /// The guest's exported memory, looked up at first use.
    pub memory: Option<Memory>,
    /// Lines that the guest writes and has not ended.
    output: Output,
    pub scratch: Vec<u8>,
    /// Where texts are in it.
    pub ranges: Vec<(u32, u32)>,
}

impl<P: Proxy> State<P> {
    pub fn new(proxy: P, config: Rc<VmConfig>, guard: Guard) -> State<P> {
        State {
            proxy,
            config,
            features: Features::default(),
            serving: Serving::default(),
            denials: Denials::default(),
            guard,
            started: Instant::now(),
            memory: None,
            output: Output::default(),
            scratch: Vec::new(),
            ranges: Vec::new(),
        }
    }

    pub fn log_enabled(&self, level: LogLevel) -> bool {
        match &self.serving.exchange {
            Some(exchange) => exchange.log_enabled(level),
            None => self.proxy.log_enabled(level),
        }
    }

    /// Writes a line to the log of the request that is being served, if there is one.
    pub fn log(&self, level: LogLevel, message: &[u8]) {
        log(&self.proxy, &self.serving, level, message);
    }

    #[cold]
    fn deny(&self, denial: &Denial<'_>) {
        if self.denials.note(denial) && self.log_enabled(LogLevel::Error) {
            self.log(LogLevel::Error, &denial.line());
        }
    }

    /// Makes it that of another instance, which starts anew. What stands for parts of the instance stays.
    pub fn replace(&mut self, proxy: P) {
        let new = State::new(proxy, self.config.clone(), self.guard.clone());
        let old = mem::replace(self, new);
        self.memory = old.memory;
        self.scratch = old.scratch;
        self.ranges = old.ranges;
    }
}

fn log<P: Proxy>(proxy: &P, serving: &Serving<P::Exchange>, level: LogLevel, message: &[u8]) {
    match &serving.exchange {
        Some(exchange) => exchange.log(level, message),
        None => proxy.log(level, message),
    }
}

impl<P: Proxy> GuestData for State<P> {
    #[inline]
    fn memory(&mut self) -> &mut Option<Memory> {
        &mut self.memory
    }
}

impl<P: Proxy> GuestState for State<P> {
    #[inline]
    fn guard(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// Output that has no end yet is told.
    #[cold]
    fn end_call(&mut self) {
        self.guard.ended();
        let (proxy, serving) = (&self.proxy, &self.serving);
        self.output
            .end(|level, line| log(proxy, serving, level, line));
    }
}

impl<P: Proxy> Wasi for State<P> {
    fn environment(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.config.env
    }

    fn started(&self) -> Instant {
        self.started
    }

    /// That it may not is logged once.
    fn permits(&mut self, capability: Capability, function: &str) -> bool {
        match self.config.capabilities.require(capability, function) {
            Ok(()) => true,
            Err(denial) => {
                self.deny(&denial);
                false
            }
        }
    }

    fn print(&mut self, level: LogLevel, text: &[u8]) {
        if !self.log_enabled(level) {
            return;
        }
        let (proxy, serving) = (&self.proxy, &self.serving);
        let tell = |line: &[u8]| log(proxy, serving, level, line);
        if self.output.write(level, text, tell) {
            self.guard.note_end();
        }
    }

    fn scratch(&mut self) -> &mut Vec<u8> {
        &mut self.scratch
    }
}
