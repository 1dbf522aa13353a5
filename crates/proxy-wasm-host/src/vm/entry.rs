//! Every entry into the guest.

use std::rc::Rc;
use std::time::Instant;

use guest_host::exports::function;
use wasm_runtime::wasmtime::{Error, Instance, Store, TypedFunc, WasmParams, WasmResults};
use wasm_runtime::{Engine, Guard};

use super::{ContextId, Vm, VmConfig};
use crate::context::{Kind, Phase};
use crate::error::CallError;
use crate::exports::Exports;
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
    let result = Guard::call(store, State::guard, call);
    if store.data().guard.notes_end() {
        store.data_mut().end_call();
    }
    result.map_err(|error| CallError::Trap {
        callback,
        reason: store.data().guard.reason(&error),
    })
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
}

impl<P: Proxy> Vm<P> {
    /// Calls the guest for a context, then does what `proxy_done` has asked for meanwhile.
    /// `None` when the callback is not exported.
    pub(super) fn call<A: WasmParams, R: WasmResults>(
        &mut self,
        id: ContextId,
        callback: &'static str,
        function: fn(&Exports) -> Option<&TypedFunc<A, R>>,
        arguments: A,
    ) -> Result<Option<R>, CallError> {
        let Some(function) = function(&self.exports) else {
            return Ok(None);
        };
        let result = self.guest.enter(id, callback, function, arguments)?;
        self.finish_done();
        Ok(Some(result))
    }

    pub(super) fn call_create(&mut self, id: ContextId, parent: u32) -> Result<(), CallError> {
        let name = "proxy_on_context_create";
        self.call(
            id,
            name,
            |exports| exports.context_create.as_ref(),
            (id, parent),
        )?;
        Ok(())
    }

    /// Ends a context: `proxy_on_done`, then the rest, which waits for `proxy_done` when the guest
    /// says so and not too many wait already. `log`: `proxy_on_log` too, which is for streams only.
    ///
    /// Nothing happens for an id that is unknown or waits for `proxy_done` already. In a poisoned
    /// VM the context goes without a call.
    pub fn finish(&mut self, id: ContextId, log: bool) -> Result<(), CallError> {
        if self.guest.poisoned {
            self.state().remove_context(id);
            return Ok(());
        }
        let stream = self.state().is_live(id, Kind::Stream);
        if !stream && !self.state().is_live(id, Kind::Root) {
            return Ok(());
        }
        let log = log && stream;
        match self.call(id, "proxy_on_done", |exports| exports.done.as_ref(), id) {
            Ok(Some(0)) if self.state().await_done(id, log) => Ok(()),
            // Too many wait already, or this one does not.
            Ok(_) => self.log_and_delete(id, log),
            Err(error) => {
                self.state().remove_context(id);
                Err(error)
            }
        }
    }

    /// What comes after `proxy_on_done`; the context is gone then, whatever happens.
    fn log_and_delete(&mut self, id: ContextId, log: bool) -> Result<(), CallError> {
        let mut result = Ok(());
        if let Some(on_log) = &self.exports.log
            && log
        {
            result = self.guest.enter(id, "proxy_on_log", on_log, id);
        }
        if let (Ok(()), Some(on_delete)) = (&result, &self.exports.delete) {
            result = self.guest.enter(id, "proxy_on_delete", on_delete, id);
        }
        self.state().remove_context(id);
        result
    }

    /// Ends the contexts whose `proxy_done` came. Their callbacks may ask for more.
    #[inline]
    pub(super) fn finish_done(&mut self) {
        if !self.guest.store.data().finishing.is_empty() {
            self.finish_all();
        }
    }

    #[cold]
    fn finish_all(&mut self) {
        while let Some(id) = self.state().finishing.pop() {
            let Some(Phase::Finishing { log }) = self.state().contexts.get(id).map(|c| c.phase)
            else {
                continue;
            };
            if self.guest.poisoned {
                self.state().remove_context(id);
            } else if let Err(error) = self.log_and_delete(id, log) {
                // It is no error of the callback that has just succeeded.
                self.proxy().callback_failed(&error);
            }
        }
    }
}
