//! An instance, and the calls into it.

use wasm_runtime::wasmtime::TypedFunc;
use wasm_runtime::wasmtime::{
    Error, Instance, InstancePre, Memory, Store, WasmParams, WasmResults,
};
use wasm_runtime::{Engine, Guard, Rewind};

use super::code::Code;
use super::error::{CallFailure, StartError};
use crate::exports::function;
use crate::memory::GuestData;
use crate::wasi::Exit;

/// The data of a store with a [`Guest`].
pub trait GuestState: GuestData {
    /// What holds the instance to its limits.
    fn guard(&mut self) -> &mut Guard;

    /// A call has ended that had something noted ([`Guard::note_end`]).
    fn end_call(&mut self);
}

/// An instance of a guest that is one module. Its memory and globals live on from call to call.
///
/// The guest runs only within these methods. After a trap nothing more is called in it, and it is to be dropped.
pub struct Guest<T: GuestState> {
    pub(super) store: Store<T>,
    pub(super) instance: Instance,
    pub(super) code: Code,
    /// It was started from a snapshot, and can be taken back to it.
    pub(super) rewind: Option<Rewind>,
    pub(super) poisoned: bool,
    memory: Option<Memory>,
}

impl<T: GuestState> Guest<T> {
    /// Instantiates a guest and calls what it exports of the functions `start`, in this order. All of it together has
    /// [`Limits::start_time`]. `runtime` is its code's [engine](Code::runtime), which `linked` was linked in.
    ///
    /// [`Limits::start_time`]: wasm_runtime::Limits::start_time
    pub fn start(
        runtime: &Engine,
        code: &Code,
        linked: &InstancePre<T>,
        state: T,
        start: &[&'static str],
    ) -> Result<Guest<T>, StartError> {
        let mut store = store(runtime, state);
        store.data_mut().guard().set_starting(true);
        let instance = run(&mut store, |store| {
            let instance = linked.instantiate(&mut *store)?;
            find_memory(store, &instance);
            if let Some(initial) = code.initial() {
                initial.start(store, &instance)?;
            }
            Ok(instance)
        });
        let instance = instance.map_err(StartError::Instantiate)?;
        for &name in start {
            if let Some(start) = function::<_, (), ()>(&instance, &mut store, name) {
                let started = run(&mut store, |store| exited_well(start.call(store, ())));
                started.map_err(|reason| StartError::Trap {
                    function: name,
                    reason,
                })?;
            }
        }
        store.data_mut().guard().set_starting(false);
        Ok(Guest::new(store, instance, code, None))
    }

    pub(super) fn new(
        mut store: Store<T>,
        instance: Instance,
        code: &Code,
        rewind: Option<Rewind>,
    ) -> Guest<T> {
        Guest {
            memory: *store.data_mut().memory(),
            store,
            instance,
            code: code.clone(),
            rewind,
            poisoned: false,
        }
    }

    /// An exported function, if it is there with this type.
    pub fn function<A: WasmParams, R: WasmResults>(
        &mut self,
        name: &str,
    ) -> Option<TypedFunc<A, R>> {
        function(&self.instance, &mut self.store, name)
    }

    /// Makes a call into the guest, within its limits.
    #[inline]
    pub fn call<R>(
        &mut self,
        call: impl FnOnce(&mut Store<T>) -> Result<R, Error>,
    ) -> Result<R, CallFailure> {
        if self.poisoned {
            return Err(CallFailure::Poisoned);
        }
        run(&mut self.store, call).map_err(|reason| {
            self.poisoned = true;
            CallFailure::Trap(reason)
        })
    }

    /// Has a call trapped?
    pub fn poisoned(&self) -> bool {
        self.poisoned
    }

    #[inline]
    pub fn data(&self) -> &T {
        self.store.data()
    }

    #[inline]
    pub fn data_mut(&mut self) -> &mut T {
        self.store.data_mut()
    }

    /// Bytes of the guest's memory.
    pub fn memory_bytes(&self) -> usize {
        let memory = self.memory.as_ref();
        memory.map_or(0, |memory| memory.data_size(&self.store))
    }
}

/// A store for an instance, with its limits.
pub(super) fn store<T: GuestState>(runtime: &Engine, state: T) -> Store<T> {
    let mut store = Store::new(runtime.wasmtime(), state);
    Guard::attach(&mut store, T::guard);
    store
}

/// Looks the guest's exported memory up.
pub(super) fn find_memory<T: GuestState>(store: &mut Store<T>, instance: &Instance) {
    *store.data_mut().memory() = instance.get_memory(&mut *store, "memory");
}

/// Makes a call into the guest, within its limits. The error says why it failed.
#[inline]
fn run<T: GuestState, R>(
    store: &mut Store<T>,
    call: impl FnOnce(&mut Store<T>) -> Result<R, Error>,
) -> Result<R, String> {
    let result = Guard::call(store, T::guard, call);
    if store.data_mut().guard().notes_end() {
        store.data_mut().end_call();
    }
    result.map_err(|error| store.data_mut().guard().reason(&error))
}

/// A program's start may end by `proc_exit(0)`.
fn exited_well(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.downcast_ref() == Some(&Exit(0)) => Ok(()),
        other => other,
    }
}
