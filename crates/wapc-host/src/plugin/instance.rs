//! An instance of a program, and the calls into it.

use std::rc::Rc;

use guest_host::Services;
use guest_host::exports::function;
use guest_host::wasi::Exit;
use wasm_runtime::wasmtime::{Error, Instance, Store, TypedFunc};
use wasm_runtime::{Engine, Guard, Rewind};

use crate::error::{CallError, LoadError, StartError};
use crate::exchange::Message;
use crate::program::{GUEST_CALL, Program, START};
use crate::state::{PluginConfig, State};

/// What a guest is called by.
type GuestCall = TypedFunc<(u32, u32), u32>;

/// An instance of a program. Its memory and globals live on from call to call.
///
/// The guest runs only within these methods. After a trap nothing more is called in it, and it is to be dropped.
pub struct Plugin<S: Services + 'static> {
    pub(super) store: Store<State<S>>,
    pub(super) instance: Instance,
    pub(super) program: Program,
    /// It was started from a snapshot, and can be taken back to it.
    pub(super) rewind: Option<Rewind>,
    guest_call: GuestCall,
    poisoned: bool,
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
        let runtime = program.runtime(engine, &config.limits)?;
        let instance_pre = program.link(&runtime)?;
        let mut store = store(&runtime, services, config);
        store.data_mut().guard.set_starting(true);
        let instance = run(&mut store, |store| {
            let instance = instance_pre.instantiate(&mut *store)?;
            store.data_mut().memory = instance.get_memory(&mut *store, "memory");
            if let Some(initial) = program.initial() {
                initial.start(store, &instance)?;
            }
            Ok(instance)
        });
        let instance = instance.map_err(StartError::Instantiate)?;
        for name in START {
            if let Some(start) = function::<_, (), ()>(&instance, &mut store, name) {
                let started = run(&mut store, |store| exited_well(start.call(store, ())));
                started.map_err(|reason| StartError::Trap {
                    function: name,
                    reason,
                })?;
            }
        }
        store.data_mut().guard.set_starting(false);
        Plugin::new(store, instance, program, None)
    }

    /// An instance that has started.
    pub(super) fn new(
        mut store: Store<State<S>>,
        instance: Instance,
        program: &Program,
        rewind: Option<Rewind>,
    ) -> Result<Plugin<S>, StartError> {
        let guest_call = function(&instance, &mut store, GUEST_CALL);
        Ok(Plugin {
            // It was checked before the program was compiled.
            guest_call: guest_call.ok_or(LoadError::NoGuestCall)?,
            store,
            instance,
            program: program.clone(),
            rewind,
            poisoned: false,
        })
    }

    /// Calls an operation of the guest's, with a message in a format of its choice. The response is borrowed until the
    /// next call; see [`Plugin::take_response`].
    pub fn call(
        &mut self,
        operation: &[u8],
        message: impl Message + 'static,
    ) -> Result<&[u8], CallError> {
        if self.poisoned {
            return Err(CallError::Poisoned);
        }
        let lens = self.store.data_mut().exchange.begin(operation, message)?;
        let guest_call = &self.guest_call;
        let answer = run(&mut self.store, |store| guest_call.call(store, lens));
        let exchange = &mut self.store.data_mut().exchange;
        exchange.end();
        match answer {
            Ok(answer) => self.store.data().exchange.outcome(answer),
            Err(reason) => {
                self.poisoned = true;
                Err(CallError::Trap(reason))
            }
        }
    }

    /// The response to the last call, for good.
    pub fn take_response(&mut self) -> Vec<u8> {
        self.store.data_mut().exchange.response.take()
    }

    /// Lets the response of the last call go, if it is large.
    pub fn trim(&mut self) {
        let exchange = &mut self.store.data_mut().exchange;
        exchange.response.trim();
        exchange.error.trim();
    }

    /// Has a call trapped?
    pub fn poisoned(&self) -> bool {
        self.poisoned
    }

    pub fn services(&self) -> &S {
        &self.store.data().services
    }

    /// Bytes of the guest's memory.
    pub fn memory_bytes(&self) -> usize {
        let memory = self.store.data().memory;
        memory.map_or(0, |memory| memory.data_size(&self.store))
    }
}

/// A store for an instance, with its limits.
pub(super) fn store<S: Services + 'static>(
    runtime: &Engine,
    services: S,
    config: Rc<PluginConfig>,
) -> Store<State<S>> {
    let guard = Guard::new(runtime, config.limits);
    let state = State::new(services, config, guard);
    let mut store = Store::new(runtime.wasmtime(), state);
    Guard::attach(&mut store, State::guard);
    store
}

/// Makes a call into the guest, within its limits. The error says why it failed.
#[inline]
fn run<S: Services + 'static, R>(
    store: &mut Store<State<S>>,
    call: impl FnOnce(&mut Store<State<S>>) -> Result<R, Error>,
) -> Result<R, String> {
    let result = Guard::call(store, State::guard, call);
    if store.data().guard.notes_end() {
        store.data_mut().end_call();
    }
    result.map_err(|error| store.data().guard.reason(&error))
}

/// A program's start may end by `proc_exit(0)`.
fn exited_well(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.downcast_ref() == Some(&Exit(0)) => Ok(()),
        other => other,
    }
}
