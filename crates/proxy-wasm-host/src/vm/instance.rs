//! An instance of a program with its contexts.

use std::rc::Rc;

use wasm_runtime::wasmtime::Instance;
use wasm_runtime::{Engine, Guard, Rewind};

use super::guest::{self, Guest};
use crate::abi::AbiVersion;
use crate::callbacks::{Callbacks, Exports};
use crate::config::VmConfig;
use crate::error::StartError;
use crate::exports::exports;
use crate::ids::ContextId;
use crate::joined::Joined;
use crate::program::Program;
use crate::state::State;
use crate::traits::Proxy;

/// One instance of a program with its contexts.
///
/// The guest runs only within these methods. After a trap nothing more is called in it: every
/// method answers [`CallError::Poisoned`], and the VM is to be dropped.
pub struct Vm<P: Proxy> {
    pub(super) guest: Guest<P>,
    pub(super) instance: Instance,
    pub(super) exports: Exports,
    pub(super) joined: Joined,
    /// Streams, and their root contexts, whose `proxy_on_context_create` comes with their first callback.
    pub(super) uncreated: Vec<(ContextId, ContextId)>,
    pub(super) program: Program,
    /// It was started from a snapshot, and can be taken back to it.
    pub(super) rewind: Option<Rewind>,
}

impl<P: Proxy> Vm<P> {
    /// Instantiates a program (which is loaded and linked at its first start in this engine) and
    /// runs its entry points: the start section; `_initialize`, else `_start`; then `main` where
    /// it is exported, unless `_start` has run it. They have [`Limits::start_time`], together with
    /// the callbacks of [`Vm::create_root`].
    ///
    /// [`Limits::start_time`]: wasm_runtime::Limits::start_time
    pub fn start(
        engine: &Engine,
        program: &Program,
        proxy: P,
        config: VmConfig,
    ) -> Result<Vm<P>, StartError> {
        let runtime = program.runtime(engine, &config.limits)?;
        let instance_pre = program.link(&runtime)?;
        let mut store = guest::store(&runtime, program, proxy, Rc::new(config));
        store.data_mut().guard.set_starting(true);
        let instance = Guard::call(&mut store, State::guard, |store| {
            let instance = instance_pre.instantiate(&mut *store)?;
            store.data_mut().memory = instance.get_memory(&mut *store, "memory");
            if let Some(initial) = &program.inner.initial {
                initial.start(store, &instance)?;
            }
            Ok(instance)
        });
        store.data_mut().end_call();
        let instance =
            instance.map_err(|error| StartError::Instantiate(store.data().guard.reason(&error)))?;
        guest::start(&instance, &mut store)?;
        store.data_mut().guard.set_starting(false);

        let exports = exports(&mut store, &instance);
        let joined = Joined::start(&program.inner.joined, &runtime, &mut store, &exports)?;
        Ok(Vm {
            exports,
            joined,
            uncreated: Vec::new(),
            guest: Guest::new(store),
            instance,
            program: program.clone(),
            rewind: None,
        })
    }

    /// Has a call trapped?
    pub fn poisoned(&self) -> bool {
        self.guest.poisoned
    }

    /// Which callbacks the program exports.
    pub fn callbacks(&self) -> Callbacks {
        self.program.callbacks()
    }

    /// The version that the program says it was built for.
    pub fn abi(&self) -> AbiVersion {
        self.program.abi()
    }

    /// Bytes of the guest's memory.
    pub fn memory_bytes(&self) -> usize {
        let store = &self.guest.store;
        let memory = store.data().memory;
        memory.map_or(0, |memory| memory.data_size(store))
    }

    #[cfg(feature = "fuzzing")]
    pub(crate) fn memory_mut(&mut self) -> &mut [u8] {
        let store = &mut self.guest.store;
        let memory = store.data().memory;
        memory.map_or(&mut [], |memory| memory.data_mut(store))
    }

    pub fn proxy(&self) -> &P {
        &self.guest.store.data().proxy
    }

    /// Is it to be told of any calls?
    pub fn has_calls(&self) -> bool {
        self.guest.store.data().calls.len() > 0
    }

    /// Is a context to be told of any calls?
    pub fn has_calls_of(&self, context: ContextId) -> bool {
        let calls = &self.guest.store.data().calls;
        calls.len() > 0 && !calls.of_context(context).is_empty()
    }

    /// Number of stream contexts, including those that wait for `proxy_done`.
    pub fn context_count(&self) -> usize {
        self.guest.store.data().contexts.streams()
    }

    pub(super) fn state(&mut self) -> &mut State<P> {
        self.guest.store.data_mut()
    }
}
