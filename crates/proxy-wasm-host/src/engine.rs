//! The runtime of one process, with the programs that it has linked.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use wasm_runtime::wasmtime::{InstancePre, Linker};
use wasm_runtime::{Error, one_line};

use crate::error::LoadError;
use crate::hostcalls;
use crate::program::{self, Program};
use crate::state::State;
use crate::traits::Proxy;

/// The runtime of one process; it starts no thread. Make one in each process that runs guests,
/// after the fork. Clone = refcount.
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

    /// Loads and links a program, or finds it linked already.
    pub(crate) fn link<P: Proxy>(
        &self,
        program: &Program,
    ) -> Result<InstancePre<State<P>>, LoadError> {
        let mut linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let found = linked
            .iter()
            .filter(|l| std::ptr::eq(l.program.as_ptr(), Arc::as_ptr(&program.inner)))
            .find_map(|l| l.instance_pre.downcast_ref::<InstancePre<State<P>>>());
        if let Some(found) = found {
            return Ok(found.clone());
        }

        let module = self.runtime.load(&program.inner.artifact)?;
        let mut linker = Linker::new(self.runtime.wasmtime());
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
