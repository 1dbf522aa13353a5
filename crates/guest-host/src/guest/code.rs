//! A module's code, compiled.

use std::sync::Arc;

use wasm_runtime::wasmtime::{InstancePre, Linker, Result};
use wasm_runtime::{Artifact, Engine, Error, Initial, Limits, Outline};

/// A module's code, compiled, and independent of any process: compiled in one, its instances start in those forked from it
/// as well. Clone = refcount.
#[derive(Clone)]
pub struct Code {
    inner: Arc<Inner>,
}

struct Inner {
    artifact: Artifact,
    /// Instances can be started from snapshots.
    initial: Option<Initial>,
}

impl Code {
    /// Compiles a module of the binary (`.wasm`) or text (`.wat`) format, if `check` finds that it can run here; with what
    /// that has answered.
    pub fn compile<C, E: From<Error>>(
        engine: &Engine,
        bytes: &[u8],
        check: impl FnOnce(&Outline) -> Result<C, E>,
    ) -> Result<(Code, C), E> {
        let (artifact, checked) = engine.compile_if(bytes, check)?;
        Ok((Code::new(engine, artifact, None)?, checked))
    }

    /// The same for a module whose instances are to be started from a [`Snapshot`](super::Snapshot) of another one. Modules
    /// that change their tables are refused.
    pub fn compile_for_snapshots<C, E: From<Error>>(
        engine: &Engine,
        bytes: &[u8],
        check: impl FnOnce(&Outline) -> Result<C, E>,
    ) -> Result<(Code, C), E> {
        let (artifact, initial, checked) = engine.compile_for_snapshots_if(bytes, check)?;
        Ok((Code::new(engine, artifact, Some(initial))?, checked))
    }

    fn new(engine: &Engine, artifact: Artifact, initial: Option<Initial>) -> Result<Code, Error> {
        // That it cannot be mapped is told now, and not when an instance starts.
        engine.load(&artifact)?;
        Ok(Code {
            inner: Arc::new(Inner { artifact, initial }),
        })
    }

    /// SHA-256 of the bytes that it was compiled from; of code for snapshots, what it is kept under.
    pub fn sha256(&self) -> &[u8; 32] {
        self.inner.artifact.sha256()
    }

    pub(super) fn initial(&self) -> Option<&Initial> {
        self.inner.initial.as_ref()
    }

    /// The engine for its instances.
    pub fn runtime(&self, engine: &Engine, limits: &Limits) -> Result<Engine, Error> {
        engine.variant(limits.stack, self.inner.initial.is_some())
    }

    /// Loads and links it in such an engine, or finds it linked already. `define` defines the host's functions.
    pub fn link<T: 'static>(
        &self,
        runtime: &Engine,
        define: impl FnOnce(&mut Linker<T>) -> Result<()>,
    ) -> Result<InstancePre<T>, Error> {
        runtime.link(&self.inner.artifact, define)
    }
}
