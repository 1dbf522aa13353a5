//! Instances that start with the state of another one.

use std::rc::Rc;
use std::time::Instant;

use guest_host::Denials;
use wasm_runtime::wasmtime::InstancePre;
use wasm_runtime::{Engine, Initial};

use super::instance::{Vm, store};
use crate::error::{LoadError, StartError};
use crate::exchange::Proxy;
use crate::features::Features;
use crate::program::Program;
use crate::state::{State, VmConfig};

/// The state of an instance between two requests: its guest's memory and globals.
pub struct Snapshot<P: Proxy> {
    state: wasm_runtime::Snapshot,
    instance_pre: InstancePre<State<P>>,
    runtime: Engine,
    program: Program,
    config: Rc<VmConfig>,
    features: Features,
    denials: Denials,
    started: Instant,
}

impl<P: Proxy> Vm<P> {
    /// Takes the state of an instance whose program was [compiled for it](Program::compile_for_snapshots). `engine` is the
    /// one that it was started with.
    pub fn snapshot(&mut self, engine: &Engine) -> Result<Snapshot<P>, StartError> {
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
            features: data.features,
            denials: data.denials.clone(),
            started: data.started,
            config,
            instance_pre,
            runtime,
            program: self.program.clone(),
        })
    }
}

impl<P: Proxy> Snapshot<P> {
    /// Makes an instance with this state. No code of the guest's runs.
    pub fn vm(&self, proxy: P) -> Result<Vm<P>, StartError> {
        let mut store = store(&self.runtime, proxy, self.config.clone());
        self.apply(store.data_mut());
        let made = self.state.instantiate(&self.instance_pre, &mut store);
        let (instance, rewind) =
            made.map_err(|error| StartError::Instantiate(store.data().guard.reason(&error)))?;
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        let rewinds = self.program.initial().is_some_and(Initial::rewinds);
        let rewind = Some(rewind).filter(|_| rewinds);
        Vm::new(store, instance, &self.program, rewind)
    }

    /// Takes an instance that was made from this snapshot back to it, for another proxy: it is as a new one. No code of the
    /// guest's runs. `false`: it cannot be, and is to be dropped; the guest has trapped, or its module drops data.
    pub fn rewind(&self, vm: &mut Vm<P>, proxy: P) -> bool {
        let rewind = match &vm.rewind {
            Some(rewind) if !vm.poisoned() && self.state.has(rewind) => rewind,
            _ => return false,
        };
        let state = vm.store.data_mut();
        state.replace(proxy);
        self.apply(state);
        rewind.rewind(&mut vm.store)
    }

    fn apply(&self, state: &mut State<P>) {
        state.features = self.features;
        state.denials = self.denials.clone();
        state.started = self.started;
    }
}
