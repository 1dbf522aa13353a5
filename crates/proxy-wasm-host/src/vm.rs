//! One instance of a program with its contexts.

mod calls;
mod entry;
mod snapshot;
mod streams;

use std::rc::Rc;
use std::sync::Arc;

use guest_host::Capabilities;
use wasm_runtime::wasmtime::Instance;
use wasm_runtime::{Engine, Guard, Limits, Rewind};

use crate::abi::AbiVersion;
use crate::callbacks::Callbacks;
use crate::context::{Context, Kind};
use crate::error::{CallError, StartError};
use crate::exports::Exports;
use crate::program::Program;
use crate::state::State;
use crate::traits::Proxy;
use entry::Guest;
pub use snapshot::Snapshot;

/// Number of a context within its VM; never 0, and not used again while the context is there.
pub type ContextId = u32;

/// What a VM is started with.
#[derive(Clone, Debug, Default)]
pub struct VmConfig {
    /// The property `plugin_vm_id`.
    pub vm_id: Vec<u8>,
    /// What the guest reads in `proxy_on_vm_start`, byte for byte.
    pub configuration: Arc<[u8]>,
    /// The only environment variables that the guest sees: name, value; neither has a NUL.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    pub limits: Limits,
    pub capabilities: Capabilities,
}

/// What a root context is configured with.
#[derive(Clone, Debug, Default)]
pub struct PluginConfig {
    /// The property `plugin_name`.
    pub name: Vec<u8>,
    /// The property `plugin_root_id`; empty by default, as guests expect.
    pub root_id: Vec<u8>,
    /// What the guest reads in `proxy_on_configure`, byte for byte.
    pub configuration: Arc<[u8]>,
}

/// One instance of a program with its contexts.
///
/// The guest runs only within these methods. After a trap nothing more is called in it: every
/// method answers [`CallError::Poisoned`], and the VM is to be dropped.
pub struct Vm<P: Proxy> {
    guest: Guest<P>,
    instance: Instance,
    exports: Exports,
    program: Program,
    /// It was started from a snapshot, and can be taken back to it.
    rewind: Option<Rewind>,
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
        let mut store = entry::store(&runtime, program, proxy, Rc::new(config));
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
        entry::start(&instance, &mut store)?;
        store.data_mut().guard.set_starting(false);

        Ok(Vm {
            exports: Exports::of(&mut store, |store, name| instance.get_func(store, name)),
            guest: Guest::new(store),
            instance,
            program: program.clone(),
            rewind: None,
        })
    }

    /// Makes a root context: `proxy_on_context_create`, `proxy_on_vm_start`, `proxy_on_configure`.
    ///
    /// The context is gone again when the guest refuses or traps.
    pub fn create_root(&mut self, config: PluginConfig) -> Result<ContextId, StartError> {
        self.guest.check()?;
        let configuration_len = config.configuration.len() as u32;
        let context = Context::root(Rc::new(config));
        let id = self.state().add_context(context);
        self.state().guard.set_starting(true);
        let result = self.configure_root(id, configuration_len);
        self.state().guard.set_starting(false);
        if result.is_err() {
            self.state().remove_context(id);
        }
        result.map(|()| id)
    }

    fn configure_root(&mut self, id: ContextId, configuration_len: u32) -> Result<(), StartError> {
        self.call_create(id, 0)?;

        let name = "proxy_on_vm_start";
        let arguments = (id, self.state().config.configuration.len() as u32);
        self.state().in_vm_start = true;
        let answer = self.call(id, name, |exports| exports.vm_start.as_ref(), arguments);
        self.state().in_vm_start = false;
        refused(answer?, name)?;

        let name = "proxy_on_configure";
        let arguments = (id, configuration_len);
        let answer = self.call(id, name, |exports| exports.configure.as_ref(), arguments)?;
        refused(answer, name)
    }

    /// `proxy_on_tick` of a root context, also while it waits for `proxy_done`.
    pub fn on_tick(&mut self, root: ContextId) -> Result<(), CallError> {
        self.is_root(root)?;
        self.call(root, "proxy_on_tick", |exports| exports.tick.as_ref(), root)?;
        Ok(())
    }

    /// Ends all root contexts: `proxy_on_done`, `proxy_on_delete`. Streams that are still there
    /// end before them, without `proxy_on_log`. Errors are logged.
    ///
    /// A root context whose `proxy_on_done` returned false stays until `proxy_done`.
    pub fn shutdown(&mut self) {
        for kind in [Kind::Stream, Kind::Root] {
            for id in self.state().contexts.ids(kind) {
                if let Err(error) = self.finish(id, false) {
                    self.proxy().callback_failed(&error);
                }
            }
        }
    }

    /// Is this a root context that is there?
    fn is_root(&self, id: ContextId) -> Result<(), CallError> {
        self.guest.check()?;
        match self.guest.store.data().contexts.get(id) {
            Some(context) if context.kind == Kind::Root => Ok(()),
            _ => Err(CallError::UnknownContext),
        }
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

    /// Number of stream contexts, including those that wait for `proxy_done`.
    pub fn context_count(&self) -> usize {
        self.guest.store.data().contexts.streams()
    }

    fn state(&mut self) -> &mut State<P> {
        self.guest.store.data_mut()
    }
}

/// A missing callback refuses nothing.
fn refused(answer: Option<u32>, callback: &'static str) -> Result<(), StartError> {
    match answer {
        Some(0) => Err(StartError::Refused { callback }),
        _ => Ok(()),
    }
}
