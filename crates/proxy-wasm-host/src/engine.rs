//! The runtime of one process, with the programs that it has linked.

use std::any::Any;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use std::time::Duration;

use wasm_runtime::wasmtime::{self, InstancePre, Linker};
use wasm_runtime::{Error, Limits, Ticker, one_line};

use crate::error::LoadError;
use crate::hostcalls;
use crate::program::{self, Program};
use crate::state::State;
use crate::traits::Proxy;

/// The runtime of one process; it starts no thread. A process that is forked while no guest runs, and no [`Ticker`], goes
/// on with what is loaded and linked here, most of it in memory that both have. Clone = refcount.
#[derive(Clone)]
pub struct Engine {
    pub(crate) runtime: wasm_runtime::Engine,
    linked: Arc<Mutex<Vec<Linked>>>,
}

/// A program of this engine with its imports resolved, for as long as the program lives.
struct Linked {
    program: Weak<program::Inner>,
    /// An `InstancePre<State<P>>`.
    instance_pre: Box<dyn Any + Send>,
}

impl Engine {
    pub fn new() -> Result<Engine, LoadError> {
        Ok(Engine {
            runtime: wasm_runtime::Engine::new()?,
            linked: Arc::default(),
        })
    }

    /// See [`wasm_runtime::Engine::use_cache`].
    pub fn use_cache(&self, directory: &Path) -> Result<(), String> {
        self.runtime.use_cache(directory)
    }

    /// See [`wasm_runtime::Engine::take_cache_warnings`].
    pub fn take_cache_warnings(&self) -> Vec<String> {
        self.runtime.take_cache_warnings()
    }

    /// See [`wasm_runtime::Engine::start_ticker`].
    pub fn start_ticker(&self, shortest: Duration) -> Result<Ticker, LoadError> {
        Ok(self.runtime.start_ticker(shortest)?)
    }

    /// The runtime for instances of a program.
    pub(crate) fn runtime_of(
        &self,
        program: &Program,
        limits: &Limits,
    ) -> Result<wasm_runtime::Engine, LoadError> {
        let snapshots = program.inner.initial.is_some();
        Ok(self.runtime.variant(limits.stack, snapshots)?)
    }

    /// Loads and links a program, or finds it linked already.
    pub(crate) fn link<P: Proxy>(
        &self,
        runtime: &wasm_runtime::Engine,
        program: &Program,
    ) -> Result<InstancePre<State<P>>, LoadError> {
        let mut linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let found = linked
            .iter()
            .filter(|l| std::ptr::eq(l.program.as_ptr(), Arc::as_ptr(&program.inner)))
            .filter_map(|l| l.instance_pre.downcast_ref::<InstancePre<State<P>>>())
            .find(|pre| wasmtime::Engine::same(pre.module().engine(), runtime.wasmtime()));
        if let Some(found) = found {
            return Ok(found.clone());
        }

        let module = runtime.load(&program.inner.artifact)?;
        let mut linker = Linker::new(runtime.wasmtime());
        let instance_pre = hostcalls::define(&mut linker)
            .and_then(|()| linker.instantiate_pre(&module))
            // The imports have been checked.
            .map_err(|e| Error::Engine(one_line(&e)))?;
        linked.retain(|l| l.program.strong_count() > 0);
        linked.push(Linked {
            program: Arc::downgrade(&program.inner),
            instance_pre: Box::new(instance_pre.clone()),
        });
        Ok(instance_pre)
    }
}
