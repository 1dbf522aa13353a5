//! An instance of a program, the calls into it, and its state for others.

use std::rc::Rc;
use std::time::Instant;

use guest_host::{Denials, Guest, Services};
use wasm_runtime::wasmtime::TypedFunc;
use wasm_runtime::{Engine, Guard};

use crate::error::{CallError, StartError};
use crate::exchange::Message;
use crate::program::{GUEST_CALL, Program, START, no_guest_call};
use crate::state::{PluginConfig, State};

/// What a guest is called by.
type GuestCall = TypedFunc<(u32, u32), u32>;

/// An instance of a program. Its memory and globals live on from call to call.
///
/// The guest runs only within these methods. After a trap nothing more is called in it, and it is to be dropped.
pub struct Plugin<S: Services + 'static> {
    guest: Guest<State<S>>,
    program: Program,
    guest_call: GuestCall,
}

impl<S: Services + 'static> Plugin<S> {
    /// Instantiates a program (which is loaded and linked at its first start in this engine) and runs what it exports of
    /// `_start`, `_initialize` and `wapc_init`, in this order. All of it together has [`Limits::start_time`].
    ///
    /// [`Limits::start_time`]: wasm_runtime::Limits::start_time
    pub fn start(
        engine: &Engine,
        program: &Program,
        services: S,
        config: Rc<PluginConfig>,
    ) -> Result<Plugin<S>, StartError> {
        let runtime = program.code().runtime(engine, &config.limits)?;
        let linked = program.link(&runtime)?;
        let guard = Guard::new(&runtime, config.limits);
        let state = State::new(services, config, guard);
        let guest = Guest::start(&runtime, program.code(), &linked, state, &START)?;
        Plugin::new(guest, program)
    }

    fn new(mut guest: Guest<State<S>>, program: &Program) -> Result<Plugin<S>, StartError> {
        // It was checked before the program was compiled.
        let guest_call = guest.function(GUEST_CALL).ok_or_else(no_guest_call)?;
        Ok(Plugin {
            guest_call,
            guest,
            program: program.clone(),
        })
    }

    /// Calls an operation of the guest's, with a message in a format of its choice. The response is borrowed until the
    /// next call; see [`Plugin::take_response`].
    pub fn call(
        &mut self,
        operation: &[u8],
        message: impl Message + 'static,
    ) -> Result<&[u8], CallError> {
        if self.guest.poisoned() {
            return Err(CallError::Poisoned);
        }
        let exchange = &mut self.guest.data_mut().exchange;
        let lens = exchange.begin(operation, message)?;
        let guest_call = &self.guest_call;
        let answer = self.guest.call(|store| guest_call.call(store, lens));
        let exchange = &mut self.guest.data_mut().exchange;
        exchange.end();
        exchange.outcome(answer?)
    }

    /// The response to the last call, for good.
    pub fn take_response(&mut self) -> Vec<u8> {
        self.guest.data_mut().exchange.response.take()
    }

    /// Lets the response of the last call go, if it is large.
    pub fn trim(&mut self) {
        let exchange = &mut self.guest.data_mut().exchange;
        exchange.response.trim();
        exchange.error.trim();
    }

    /// Has a call trapped?
    pub fn poisoned(&self) -> bool {
        self.guest.poisoned()
    }

    pub fn services(&self) -> &S {
        &self.guest.data().services
    }

    /// Bytes of the guest's memory.
    pub fn memory_bytes(&self) -> usize {
        self.guest.memory_bytes()
    }

    /// Takes the state of a plugin whose program was [compiled for it](Program::compile_for_snapshots). `engine` is the
    /// one that it was started with.
    pub fn snapshot(&mut self, engine: &Engine) -> Result<Snapshot<S>, StartError> {
        let config = self.guest.data().config.clone();
        let runtime = self.program.code().runtime(engine, &config.limits)?;
        let linked = self.program.link(&runtime)?;
        let state = self.guest.snapshot(runtime, linked)?;
        let data = self.guest.data();
        Ok(Snapshot {
            state,
            denials: data.denials.clone(),
            started: data.started,
            config,
            program: self.program.clone(),
        })
    }
}

/// The state of a plugin between two calls: its guest's memory and globals.
pub struct Snapshot<S: Services + 'static> {
    state: guest_host::Snapshot<State<S>>,
    program: Program,
    config: Rc<PluginConfig>,
    denials: Denials,
    started: Instant,
}

impl<S: Services + 'static> Snapshot<S> {
    /// Makes a plugin with this state. No code of the guest's runs.
    pub fn plugin(&self, services: S) -> Result<Plugin<S>, StartError> {
        let guard = Guard::new(self.state.runtime(), self.config.limits);
        let mut state = State::new(services, self.config.clone(), guard);
        self.apply(&mut state);
        Plugin::new(self.state.guest(state)?, &self.program)
    }

    /// Takes a plugin that was made from this snapshot back to it, for other services: it is as a new one. No code of the
    /// guest's runs. `false`: it cannot be, and is to be dropped; the guest has trapped, or its module drops data.
    pub fn rewind(&self, plugin: &mut Plugin<S>, services: S) -> bool {
        self.state.rewind(&mut plugin.guest, |state| {
            state.replace(services);
            self.apply(state);
        })
    }

    fn apply(&self, state: &mut State<S>) {
        state.denials = self.denials.clone();
        state.started = self.started;
    }
}
