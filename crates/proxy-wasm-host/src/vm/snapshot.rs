//! VMs that start with the state of another one.

use std::mem;
use std::rc::Rc;
use std::time::Instant;

use guest_host::Denials;
use wasm_runtime::wasmtime::{InstancePre, Store};
use wasm_runtime::{Engine, Initial};

use super::guest::{self, Guest};
use super::instance::Vm;
use crate::config::VmConfig;
use crate::contexts::Roots;
use crate::declared::Declared;
use crate::error::{LoadError, StartError};
use crate::exports::Places;
use crate::joined::Joined;
use crate::pending::{Calls, LastCalls};
use crate::program::Program;
use crate::state::{Allocator, State};
use crate::traits::Proxy;

/// The state of a VM: the guest's memory and globals, its root contexts, and what they have declared.
///
/// What the VM has going with the rest of the world, its calls, ticks and queues, is its own.
pub struct Snapshot<P: Proxy> {
    state: wasm_runtime::Snapshot,
    instance_pre: InstancePre<State<P>>,
    runtime: Engine,
    program: Program,
    places: Places,
    config: Rc<VmConfig>,
    roots: Roots,
    declared: Declared,
    denials: Denials,
    started: Instant,
    /// The guest may remember calls: others must not get their numbers.
    calls: LastCalls,
}

impl<P: Proxy> Vm<P> {
    /// Takes the state of a VM whose program was [compiled for it](Program::compile_for_snapshots). `engine` is the one
    /// that it was started with.
    pub fn snapshot(&mut self, engine: &Engine) -> Result<Snapshot<P>, StartError> {
        self.guest.check()?;
        let program = self.program.clone();
        let store = &mut self.guest.store;
        let runtime = program.runtime(engine, &store.data().config.limits)?;
        let instance_pre = program.link(&runtime)?;
        let module = instance_pre.module();
        let state =
            wasm_runtime::Snapshot::take(store, &self.instance, module).map_err(LoadError::from)?;
        let places = Places::of(module);
        let data = store.data();
        Ok(Snapshot {
            state,
            places,
            config: data.config.clone(),
            roots: data.contexts.roots(),
            declared: data.declared.clone(),
            calls: data.calls.last(),
            denials: data.denials.clone(),
            started: data.started,
            instance_pre,
            runtime,
            program,
        })
    }
}

impl<P: Proxy> Snapshot<P> {
    /// Makes a VM with this state. No code of the guest's runs.
    pub fn start(&self, proxy: P) -> Result<Vm<P>, StartError> {
        let mut store = guest::store(&self.runtime, &self.program, proxy, self.config.clone());
        self.apply(store.data_mut());
        let started = self.state.instantiate(&self.instance_pre, &mut store);
        let (instance, rewind) =
            started.map_err(|error| StartError::Instantiate(store.data().guard.reason(&error)))?;
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        note_memory(&mut store);
        let initial = self.program.inner.initial.as_ref();
        let exports = self.places.exports(&mut store, &instance);
        let joined = &self.program.inner.joined;
        Ok(Vm {
            joined: Joined::start(joined, &self.runtime, &mut store, &exports)?,
            exports,
            uncreated: Vec::new(),
            guest: Guest::new(store),
            instance,
            program: self.program.clone(),
            rewind: Some(rewind).filter(|_| initial.is_some_and(Initial::rewinds)),
        })
    }

    /// Takes a VM that was started from this snapshot back to it, for another proxy: it is as a new one. No code of the guest's
    /// runs. `false`: it cannot be, and is to be dropped; the guest has trapped, or its module drops data.
    pub fn rewind(&self, vm: &mut Vm<P>, proxy: P) -> bool {
        let rewind = match &vm.rewind {
            Some(rewind) if !vm.guest.poisoned && self.state.has(rewind) => rewind,
            _ => return false,
        };
        vm.uncreated.clear();
        let store = &mut vm.guest.store;
        let old = store.data_mut();
        let mut state = State::new(proxy, old.abi, old.config.clone(), old.guard.clone());
        // What stands for parts of the instance, and room for what comes: nothing that the guest can see.
        mem::swap(&mut state.contexts, &mut old.contexts);
        self.apply(&mut state);
        state.memory = old.memory;
        state.allocator = mem::replace(&mut old.allocator, Allocator::Unknown);
        state.scratch = mem::take(&mut old.scratch);
        *old = state;
        let rewound = rewind.rewind(store);
        note_memory(store);
        rewound
    }

    fn apply(&self, state: &mut State<P>) {
        state.contexts.reset(&self.roots);
        state.declared = self.declared.clone();
        state.denials = self.denials.clone();
        state.calls = Calls::behind(self.calls);
        state.started = self.started;
    }
}

/// The memory is that of the snapshot, which the guard has not seen grow.
fn note_memory<P: Proxy>(store: &mut Store<State<P>>) {
    let memory = store.data().memory;
    let bytes = memory.map_or(0, |memory| memory.data_size(&*store));
    store.data_mut().guard.set_memory(bytes);
}
