//! Instances that start with the state of another one.

use wasm_runtime::wasmtime::InstancePre;
use wasm_runtime::{Engine, Initial};

use super::code::Code;
use super::error::StartError;
use super::instance::{Guest, GuestState, find_memory, store};

/// The state of a guest between two calls: its memory and globals.
pub struct Snapshot<T: 'static> {
    state: wasm_runtime::Snapshot,
    linked: InstancePre<T>,
    runtime: Engine,
    code: Code,
}

impl<T: GuestState> Guest<T> {
    /// Takes the state of a guest whose code was [compiled for it](Code::compile_for_snapshots). `runtime` and `linked` are
    /// those that it was started with.
    pub fn snapshot(
        &mut self,
        runtime: Engine,
        linked: InstancePre<T>,
    ) -> Result<Snapshot<T>, StartError> {
        if self.poisoned {
            return Err(StartError::Poisoned);
        }
        let module = linked.module();
        let state = wasm_runtime::Snapshot::take(&mut self.store, &self.instance, module)?;
        Ok(Snapshot {
            state,
            linked,
            runtime,
            code: self.code.clone(),
        })
    }
}

impl<T: GuestState> Snapshot<T> {
    /// The engine for the instances.
    pub fn runtime(&self) -> &Engine {
        &self.runtime
    }

    /// Makes an instance with this state. No code of the guest's runs.
    pub fn guest(&self, data: T) -> Result<Guest<T>, StartError> {
        let mut store = store(&self.runtime, data);
        let made = self.state.instantiate(&self.linked, &mut store);
        let (instance, rewind) =
            made.map_err(|error| StartError::Instantiate(store.data_mut().guard().reason(&error)))?;
        find_memory(&mut store, &instance);
        let rewinds = self.code.initial().is_some_and(Initial::rewinds);
        let rewind = Some(rewind).filter(|_| rewinds);
        Ok(Guest::new(store, instance, &self.code, rewind))
    }

    /// Takes an instance that was made from this snapshot back to it: it is as a new one, but for its store's data, which
    /// `renew` changes. No code of the guest's runs. `false`: it cannot be, and is to be dropped; the guest has trapped, or
    /// its module drops data.
    pub fn rewind(&self, guest: &mut Guest<T>, renew: impl FnOnce(&mut T)) -> bool {
        let rewind = match &guest.rewind {
            Some(rewind) if !guest.poisoned && self.state.has(rewind) => rewind,
            _ => return false,
        };
        renew(guest.store.data_mut());
        rewind.rewind(&mut guest.store)
    }
}
