//! Every entry into the guest.

use std::rc::Rc;
use std::time::Instant;

use guest_host::exports::function;
use wasm_runtime::wasmtime::{Error, Instance, Store, TypedFunc, WasmParams, WasmResults};
use wasm_runtime::{Engine, Guard};

use crate::config::VmConfig;
use crate::error::CallError;
use crate::ids::ContextId;
use crate::joined::Joint;
use crate::program::Program;
use crate::state::State;
use crate::traits::Proxy;

/// A store for an instance, with its limits.
pub(super) fn store<P: Proxy>(
    runtime: &Engine,
    program: &Program,
    proxy: P,
    config: Rc<VmConfig>,
) -> Store<State<P>> {
    let guard = Guard::new(runtime, config.limits);
    let state = State::new(proxy, program.abi(), config, guard);
    let mut store = Store::new(runtime.wasmtime(), state);
    Guard::attach(&mut store, State::guard);
    store
}

/// Runs the entry points: `_initialize`, else `_start`; then `main` where it is exported, unless `_start`
/// has run it.
pub(super) fn start<P: Proxy>(
    instance: &Instance,
    store: &mut Store<State<P>>,
) -> Result<(), CallError> {
    if let Some(initialize) = function::<_, (), ()>(instance, store, "_initialize") {
        run(store, "_initialize", |store| initialize.call(store, ()))?;
        main(instance, store)
    } else if let Some(start) = function::<_, (), ()>(instance, store, "_start") {
        run(store, "_start", |store| start.call(store, ()))
    } else {
        main(instance, store)
    }
}

/// Runs `main`, of any of its types, where it is exported. A result other than 0 is no error: the
/// reference host takes none for one.
fn main<P: Proxy>(instance: &Instance, store: &mut Store<State<P>>) -> Result<(), CallError> {
    let name = "main";
    if let Some(main) = function::<_, (u32, u32), u32>(instance, store, name) {
        run(store, name, |store| main.call(store, (0, 0)).map(drop))
    } else if let Some(main) = function::<_, (), u32>(instance, store, name) {
        run(store, name, |store| main.call(store, ()).map(drop))
    } else if let Some(main) = function::<_, (), ()>(instance, store, name) {
        run(store, name, |store| main.call(store, ()))
    } else {
        Ok(())
    }
}

/// Makes a call into the guest, within its limits.
fn run<P: Proxy, R>(
    store: &mut Store<State<P>>,
    callback: &'static str,
    call: impl FnOnce(&mut Store<State<P>>) -> Result<R, Error>,
) -> Result<R, CallError> {
    let result = run_noted(store, call);
    result.map_err(|error| trap(store, callback, &error))
}

/// The same, with the error as it comes.
#[inline]
fn run_noted<P: Proxy, R>(
    store: &mut Store<State<P>>,
    call: impl FnOnce(&mut Store<State<P>>) -> Result<R, Error>,
) -> Result<R, Error> {
    let result = Guard::call(store, State::guard, call);
    if store.data().guard.notes_end() {
        store.data_mut().end_call();
    }
    result
}

#[cold]
fn trap<P: Proxy>(store: &Store<State<P>>, callback: &'static str, error: &Error) -> CallError {
    CallError::Trap {
        callback,
        reason: store.data().guard.reason(error),
    }
}

/// The instance, and whether it may still be called.
pub(super) struct Guest<P: Proxy> {
    pub store: Store<State<P>>,
    pub poisoned: bool,
}

impl<P: Proxy> Guest<P> {
    pub fn new(store: Store<State<P>>) -> Guest<P> {
        Guest {
            store,
            poisoned: false,
        }
    }

    pub fn check(&self) -> Result<(), CallError> {
        if self.poisoned {
            Err(CallError::Poisoned)
        } else {
            Ok(())
        }
    }

    /// Calls the guest for a context. A trap poisons it.
    pub fn enter<A: WasmParams, R: WasmResults>(
        &mut self,
        id: ContextId,
        callback: &'static str,
        function: &TypedFunc<A, R>,
        arguments: A,
    ) -> Result<R, CallError> {
        self.check()?;
        let state = self.store.data_mut();
        if !state.begin(id) {
            return Err(CallError::UnknownContext);
        }
        let started = state.proxy.times_callbacks().then(Instant::now);
        let result = run(&mut self.store, callback, |store| {
            function.call(store, arguments)
        });
        let state = self.store.data_mut();
        state.end();
        if let Some(started) = started {
            state.proxy.callback_ended(callback, started.elapsed());
        }
        self.poisoned = result.is_err();
        result
    }

    /// The same for several callbacks at once, which are not timed.
    pub fn enter_joined<A: WasmParams, R: WasmResults>(
        &mut self,
        id: ContextId,
        joint: &Joint<A, R>,
        arguments: A,
    ) -> Result<R, CallError> {
        self.check()?;
        let state = self.store.data_mut();
        if !state.begin(id) {
            return Err(CallError::UnknownContext);
        }
        state.joined = Some(joint.stop());
        let result = run_noted(&mut self.store, |store| {
            joint.function.call(store, arguments)
        });
        let state = self.store.data_mut();
        state.end();
        state.joined = None;
        result.map_err(|error| {
            self.poisoned = true;
            let callback = joint.callback(&mut self.store);
            trap(&self.store, callback, &error)
        })
    }
}
