//! Instances that start with the state of another one.

use std::rc::Rc;
use std::time::Instant;

use guest_host::{Denials, Services};
use wasm_runtime::wasmtime::InstancePre;
use wasm_runtime::{Engine, Initial};

use super::instance::{Plugin, store};
use crate::error::{LoadError, StartError};
use crate::program::Program;
use crate::state::{PluginConfig, State};

/// The state of a plugin between two calls: its guest's memory and globals.
pub struct Snapshot<S: Services + 'static> {
    state: wasm_runtime::Snapshot,
    instance_pre: InstancePre<State<S>>,
    runtime: Engine,
    program: Program,
    config: Rc<PluginConfig>,
    denials: Denials,
    started: Instant,
}

impl<S: Services + 'static> Plugin<S> {
    /// Takes the state of a plugin whose program was [compiled for it](Program::compile_for_snapshots). `engine` is the
    /// one that it was started with.
    pub fn snapshot(&mut self, engine: &Engine) -> Result<Snapshot<S>, StartError> {
        if self.poisoned() {
            return Err(StartError::Poisoned);
        }
        let config = self.store.data().config.clone();
        let runtime = self.program.runtime(engine, &config.limits)?;
        let instance_pre = self.program.link(&runtime)?;
        let module = instance_pre.module();
        let state = wasm_runtime::Snapshot::take(&mut self.store, &self.instance, module);
        let data = self.store.data();
        Ok(Snapshot {
            state: state.map_err(LoadError::from)?,
            denials: data.denials.clone(),
            started: data.started,
            config,
            instance_pre,
            runtime,
            program: self.program.clone(),
        })
    }
}

impl<S: Services + 'static> Snapshot<S> {
    /// Makes a plugin with this state. No code of the guest's runs.
    pub fn plugin(&self, services: S) -> Result<Plugin<S>, StartError> {
        let mut store = store(&self.runtime, services, self.config.clone());
        self.apply(store.data_mut());
        let made = self.state.instantiate(&self.instance_pre, &mut store);
        let (instance, rewind) =
            made.map_err(|error| StartError::Instantiate(store.data().guard.reason(&error)))?;
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        let rewinds = self.program.initial().is_some_and(Initial::rewinds);
        Plugin::new(
            store,
            instance,
            &self.program,
            Some(rewind).filter(|_| rewinds),
        )
    }

    /// Takes a plugin that was made from this snapshot back to it, for other services: it is as a new one. No code of the
    /// guest's runs. `false`: it cannot be, and is to be dropped; the guest has trapped, or its module drops data.
    pub fn rewind(&self, plugin: &mut Plugin<S>, services: S) -> bool {
        let rewind = match &plugin.rewind {
            Some(rewind) if !plugin.poisoned() && self.state.has(rewind) => rewind,
            _ => return false,
        };
        let state = plugin.store.data_mut();
        state.replace(services);
        self.apply(state);
        rewind.rewind(&mut plugin.store)
    }

    fn apply(&self, state: &mut State<S>) {
        state.denials = self.denials.clone();
        state.started = self.started;
    }
}
