//! What the callbacks of all contexts have in common, and the end of a context.

use wasm_runtime::wasmtime::{TypedFunc, WasmParams, WasmResults};

use super::instance::Vm;
use crate::callbacks::{CONTEXT_CREATE, Callback, DELETE, DONE, LOG};
use crate::context::{ContextKind, Phase};
use crate::error::CallError;
use crate::ids::ContextId;
use crate::joined::Ended;
use crate::traits::Proxy;

impl<P: Proxy> Vm<P> {
    /// Calls the guest for a context, then does what `proxy_done` has asked for meanwhile.
    /// `None` when the callback is not exported.
    pub(super) fn call<A: WasmParams, R: WasmResults>(
        &mut self,
        id: ContextId,
        callback: Callback<TypedFunc<A, R>>,
        arguments: A,
    ) -> Result<Option<R>, CallError> {
        let Some(function) = (callback.function)(&self.exports) else {
            return Ok(None);
        };
        let result = self.guest.enter(id, callback.name, function, arguments)?;
        self.finish_done();
        Ok(Some(result))
    }

    pub(super) fn call_create(&mut self, id: ContextId, parent: u32) -> Result<(), CallError> {
        self.call(id, CONTEXT_CREATE, (id.get(), parent))?;
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
        let stream = self.state().is_live(id, ContextKind::Stream);
        if !stream && !self.state().is_live(id, ContextKind::Root) {
            return Ok(());
        }
        let log = log && stream;
        let done = self
            .create_announced(id)
            .and_then(|()| self.call_done(id, log));
        match done {
            Ok(Ended::Waits) if self.state().await_done(id, log) => Ok(()),
            // Too many wait already, or this one does not.
            Ok(Ended::Waits | Ended::Done) => self.log_and_delete(id, log),
            Ok(Ended::Logged) => self.log_and_delete(id, false),
            Ok(Ended::Deleted) => {
                self.state().remove_context(id);
                Ok(())
            }
            Err(error) => {
                self.state().remove_context(id);
                Err(error)
            }
        }
    }

    /// `proxy_on_done`, and as much of the rest as can be made at the same time.
    fn call_done(&mut self, id: ContextId, log: bool) -> Result<Ended, CallError> {
        if let Some(end) = &self.joined.end
            && !self.proxy().times_callbacks()
        {
            let ended = self.guest.enter_joined(id, end, (id.get(), log.into()))?;
            self.finish_done();
            return Ok(Ended::of(ended));
        }
        Ok(match self.call(id, DONE, id.get())? {
            Some(0) => Ended::Waits,
            _ => Ended::Done,
        })
    }

    /// What comes after `proxy_on_done`; the context is gone then, whatever happens.
    fn log_and_delete(&mut self, id: ContextId, log: bool) -> Result<(), CallError> {
        let mut result = Ok(());
        if let Some(on_log) = (LOG.function)(&self.exports)
            && log
        {
            result = self.guest.enter(id, LOG.name, on_log, id.get());
        }
        if let (Ok(()), Some(on_delete)) = (&result, (DELETE.function)(&self.exports)) {
            result = self.guest.enter(id, DELETE.name, on_delete, id.get());
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
