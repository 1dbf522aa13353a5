//! Instances that start with the state of another one.

use std::time::Instant;

use wasm_runtime::Initial;
use wasm_runtime::wasmtime::Memory;
use wasm_runtime::wasmtime::Result;

use super::{Phase, Plugin};
use crate::error::{LoadError, StartError};
use crate::functions::http::LastResponse;
use crate::functions::vars::Vars;
use crate::kernel::{KEPT, parts};
use crate::linked::Linked;
use crate::services::Services;

/// The state of an instance between two calls: its modules' memories and globals, and its vars.
pub struct Snapshot<S: Services> {
    linked: Linked<S>,
    /// Of all modules.
    states: Vec<wasm_runtime::Snapshot>,
    vars: Vars,
    started: Instant,
}

impl<S: Services> Plugin<S> {
    /// Takes the state of an instance that has started, of a program [compiled for it](crate::Program::compile).
    pub fn snapshot(&mut self) -> Result<Snapshot<S>, StartError> {
        if self.phase != Phase::Ready {
            return Err(StartError::Poisoned);
        }
        let mut states = Vec::new();
        for (instance, module) in self.instances.iter().zip(&self.linked.inner.modules) {
            let state = wasm_runtime::Snapshot::take(&mut self.store, instance, &module.module);
            states.push(state.map_err(LoadError::from)?);
        }
        let data = self.store.data();
        Ok(Snapshot {
            linked: self.linked.clone(),
            states,
            vars: data.vars.clone(),
            started: data.started,
        })
    }

    /// The memories are those of a snapshot, which the guard has not seen grow.
    fn note_memory(&mut self) {
        let mut bytes = 0;
        let kernel = self.store.data().kernel.memory;
        let others = self.rewinds.iter().filter_map(|rewind| rewind.memory());
        for memory in others.chain(kernel.as_ref()) {
            bytes += Memory::data_size(memory, &self.store);
        }
        let max_growth = self.linked.inner.program.inner.rules.max_growth;
        let guard = &mut self.store.data_mut().guard;
        guard.set_memory(bytes);
        guard.set_growth(max_growth);
    }
}

impl<S: Services> Snapshot<S> {
    /// Makes an instance with this state. No code of the guest's runs.
    pub fn plugin(&self, services: S) -> Result<Plugin<S>, StartError> {
        let linked = self.linked.inner.clone();
        let mut plugin = Plugin::new(self.linked.clone(), linked.store(services));
        plugin.phase = Phase::Poisoned;
        let made = self.make(&mut plugin);
        made.map_err(|error| StartError::Instantiate(plugin.reason(&error)))?;
        plugin.note_memory();
        let state = plugin.store.data_mut();
        state.vars = self.vars.clone();
        state.started = self.started;
        plugin.phase = Phase::Ready;
        Ok(plugin)
    }

    fn make(&self, plugin: &mut Plugin<S>) -> Result<()> {
        let linked = &self.linked.inner;
        let kernel = linked.start_kernel(&mut plugin.store)?;
        for (module, state) in linked.modules.iter().zip(&self.states) {
            let imports = linked.imports(&mut plugin.store, &kernel, module, &plugin.instances)?;
            let (instance, rewind) =
                linked.instantiate_from(&mut plugin.store, module, &imports, state)?;
            plugin.instances.push(instance);
            plugin.rewinds.push(rewind);
        }
        Ok(())
    }

    /// Takes an instance that was made from this snapshot back to it, for other services: it is as a new one. No code of the
    /// guest's runs. `false`: it cannot be, and is to be dropped; the guest has trapped, or a module
    /// drops data, or a call was large.
    pub fn rewind(&self, plugin: &mut Plugin<S>, services: S) -> bool {
        let modules = &self.linked.inner.program.inner.modules;
        let can = |initial: &Option<Initial>| initial.as_ref().is_some_and(Initial::rewinds);
        let has = |(state, rewind): (&wasm_runtime::Snapshot, _)| state.has(rewind);
        if plugin.phase != Phase::Ready
            || plugin.rewinds.len() != self.states.len()
            || !modules.iter().all(|part| can(&part.initial))
            || !self.states.iter().zip(&plugin.rewinds).all(has)
        {
            return false;
        }
        plugin.phase = Phase::Poisoned;
        let Ok((memory, state)) = parts(&mut plugin.store) else {
            return false;
        };
        // What the kernel has grown by counts, and could not be given back.
        if memory.len() > KEPT {
            return false;
        }
        state.kernel.reset(memory);
        *state.services = services;
        state.vars.clone_from(&self.vars);
        state.response = LastResponse::default();
        state.started = self.started;
        let Plugin { store, rewinds, .. } = plugin;
        if !rewinds.iter().all(|rewind| rewind.rewind(store)) {
            return false;
        }
        plugin.note_memory();
        plugin.phase = Phase::Ready;
        true
    }
}
