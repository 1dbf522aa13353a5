//! An instance of a program, the calls into it, and its state for others.

use std::mem;
use std::rc::Rc;
use std::time::Instant;

use guest_host::{CallFailure, Denials, Guest};
use wasm_runtime::wasmtime::TypedFunc;
use wasm_runtime::{Engine, Guard};

use crate::answer::Answer;
use crate::error::{CallError, StartError};
use crate::exchange::{BodyKind, Proxy};
use crate::features::Features;
use crate::program::{HANDLE_REQUEST, HANDLE_RESPONSE, Program, START, no_function};
use crate::state::{Serving, Stage, State, VmConfig};

/// Where a guest sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To the next handler; its response comes back to the guest.
    Handler,
    /// Nowhere: the guest has answered ([`Vm::take_answer`]).
    Stop,
}

/// An instance of a program. Its memory and globals live on from request to request.
///
/// The guest runs only within these methods. After a trap nothing more is called in it, and it is to be dropped.
pub struct Vm<P: Proxy> {
    guest: Guest<State<P>>,
    program: Program,
    handle_request: TypedFunc<(), u64>,
    handle_response: TypedFunc<(u32, u32), ()>,
    /// What the guest knows the request by.
    context: u32,
}

impl<P: Proxy> Vm<P> {
    /// Instantiates a program (which is loaded and linked at its first start in this engine) and runs what it exports of
    /// `_start` and `_initialize`, in this order. All of it together has [`Limits::start_time`].
    ///
    /// [`Limits::start_time`]: wasm_runtime::Limits::start_time
    pub fn start(
        engine: &Engine,
        program: &Program,
        proxy: P,
        config: Rc<VmConfig>,
    ) -> Result<Vm<P>, StartError> {
        let runtime = program.code().runtime(engine, &config.limits)?;
        let linked = program.link(&runtime)?;
        let guard = Guard::new(&runtime, config.limits);
        let state = State::new(proxy, config, guard);
        let guest = Guest::start(&runtime, program.code(), &linked, state, &START)?;
        Vm::new(guest, program)
    }

    fn new(mut guest: Guest<State<P>>, program: &Program) -> Result<Vm<P>, StartError> {
        // Both were checked before the program was compiled.
        let handle_request = guest.function(HANDLE_REQUEST);
        let handle_response = guest.function(HANDLE_RESPONSE);
        Ok(Vm {
            handle_request: handle_request.ok_or_else(|| no_function(HANDLE_REQUEST))?,
            handle_response: handle_response.ok_or_else(|| no_function(HANDLE_RESPONSE))?,
            guest,
            program: program.clone(),
            context: 0,
        })
    }

    /// Has the guest see a request. One that it had before is forgotten.
    pub fn handle_request(&mut self, exchange: P::Exchange) -> Result<Next, CallError> {
        if self.guest.poisoned() {
            return Err(CallError::Poisoned);
        }
        let state = self.guest.data_mut();
        state.serving = Serving {
            exchange: Some(exchange),
            stage: Stage::Request,
            features: state.features,
            ..Serving::default()
        };
        let handle_request = &self.handle_request;
        let answer = self.guest.call(|store| handle_request.call(store, ()));
        let answer = answer.map_err(|failure| self.failed(HANDLE_REQUEST, failure))?;
        let serving = &mut self.guest.data_mut().serving;
        serving.stage = Stage::Idle;
        serving.response_read = 0;
        self.context = (answer >> 32) as u32;
        Ok(match answer as u32 {
            0 => Next::Stop,
            _ => Next::Handler,
        })
    }

    /// Has it see the response to the request that it has passed on. `failed`: there is none.
    pub fn handle_response(&mut self, failed: bool) -> Result<(), CallError> {
        if self.guest.poisoned() {
            return Err(CallError::Poisoned);
        }
        let serving = &mut self.guest.data_mut().serving;
        if serving.exchange.is_none() {
            return Err(CallError::NoRequest);
        }
        serving.stage = Stage::Response;
        let arguments = (self.context, u32::from(failed));
        let handle_response = &self.handle_response;
        let result = self
            .guest
            .call(|store| handle_response.call(store, arguments));
        self.guest.data_mut().serving.stage = Stage::Idle;
        result.map_err(|failure| self.failed(HANDLE_RESPONSE, failure))
    }

    #[cold]
    fn failed(&mut self, function: &'static str, failure: CallFailure) -> CallError {
        self.end();
        match failure {
            CallFailure::Trap(reason) => CallError::Trap { function, reason },
            CallFailure::Poisoned => CallError::Poisoned,
        }
    }

    /// The request has ended, or the guest is through with it.
    pub fn end(&mut self) {
        self.guest.data_mut().serving = Serving::default();
    }

    /// What the guest has said of the response before the next handler.
    pub fn take_answer(&mut self) -> Answer {
        self.guest.data_mut().serving.answer.take()
    }

    /// What the guest has written in the place of a body, if it has.
    pub fn take_body(&mut self, kind: BodyKind) -> Option<Vec<u8>> {
        mem::take(self.guest.data_mut().serving.written(kind))
    }

    /// Bytes of the request's body that the guest has read, and that are not there for the next handler.
    pub fn eaten(&self) -> usize {
        self.guest.data().serving.eaten
    }

    /// The features that it asks for in all requests.
    pub fn features(&self) -> Features {
        self.guest.data().features
    }

    /// Those that hold for the request.
    pub fn request_features(&self) -> Features {
        self.guest.data().serving.features
    }

    /// Has a call trapped?
    pub fn poisoned(&self) -> bool {
        self.guest.poisoned()
    }

    pub fn proxy(&self) -> &P {
        &self.guest.data().proxy
    }

    /// Bytes of the guest's memory.
    pub fn memory_bytes(&self) -> usize {
        self.guest.memory_bytes()
    }

    /// Takes the state of an instance whose program was [compiled for it](Program::compile_for_snapshots). `engine` is the
    /// one that it was started with.
    pub fn snapshot(&mut self, engine: &Engine) -> Result<Snapshot<P>, StartError> {
        let config = self.guest.data().config.clone();
        let runtime = self.program.code().runtime(engine, &config.limits)?;
        let linked = self.program.link(&runtime)?;
        let state = self.guest.snapshot(runtime, linked)?;
        let data = self.guest.data();
        Ok(Snapshot {
            state,
            features: data.features,
            denials: data.denials.clone(),
            started: data.started,
            config,
            program: self.program.clone(),
        })
    }
}

/// The state of an instance between two requests: its guest's memory and globals.
pub struct Snapshot<P: Proxy> {
    state: guest_host::Snapshot<State<P>>,
    program: Program,
    config: Rc<VmConfig>,
    features: Features,
    denials: Denials,
    started: Instant,
}

impl<P: Proxy> Snapshot<P> {
    /// Makes an instance with this state. No code of the guest's runs.
    pub fn vm(&self, proxy: P) -> Result<Vm<P>, StartError> {
        let guard = Guard::new(self.state.runtime(), self.config.limits);
        let mut state = State::new(proxy, self.config.clone(), guard);
        self.apply(&mut state);
        Vm::new(self.state.guest(state)?, &self.program)
    }

    /// Takes an instance that was made from this snapshot back to it, for another proxy: it is as a new one. No code of the
    /// guest's runs. `false`: it cannot be, and is to be dropped; the guest has trapped, or its module drops data.
    pub fn rewind(&self, vm: &mut Vm<P>, proxy: P) -> bool {
        self.state.rewind(&mut vm.guest, |state| {
            state.replace(proxy);
            self.apply(state);
        })
    }

    fn apply(&self, state: &mut State<P>) {
        state.features = self.features;
        state.denials = self.denials.clone();
        state.started = self.started;
    }
}
