//! A compiled and checked waPC guest.

use std::rc::Rc;
use std::sync::Arc;

use guest_host::{Services, exports, imports};
use wasm_runtime::wasmtime::{InstancePre, Linker, Store};
use wasm_runtime::{Artifact, Engine, Guard, Initial, Limits, Outline, one_line};

use crate::error::LoadError;
use crate::functions::{WAPC, define};
use crate::nothing::NoServices;
use crate::state::{PluginConfig, State};

/// What the guest is called by: the lengths of operation and message; 0 for a failure.
pub(crate) const GUEST_CALL: &str = "__guest_call";

/// What runs when an instance starts, as far as it is exported, in this order.
pub(crate) const START: [&str; 3] = ["_start", "_initialize", "wapc_init"];

/// Is this a waPC guest?
pub fn is_wapc(module: &Outline) -> bool {
    let mut imports = module.imports.iter();
    module.export(GUEST_CALL).is_some() || imports.any(|import| import.module == WAPC)
}

/// A compiled and checked waPC guest, independent of any process: compiled in one, it starts in those forked from it as
/// well. Clone = refcount.
#[derive(Clone)]
pub struct Program {
    inner: Arc<Inner>,
}

struct Inner {
    artifact: Artifact,
    /// Its instances can be started from snapshots.
    initial: Option<Initial>,
}

impl Program {
    /// Compiles a module of the binary (`.wasm`) or text (`.wat`) format and checks that it can run here: its WebAssembly
    /// features, every import, the memory, and the types of `__guest_call` and of what runs at the start.
    pub fn compile(engine: &Engine, bytes: &[u8]) -> Result<Program, LoadError> {
        let (artifact, ()) = engine.compile_if(bytes, |module| check(engine, module))?;
        Program::new(engine, artifact, None)
    }

    /// The same for a module whose instances are to be started from a [`Snapshot`](crate::Snapshot) of another one.
    /// Modules that change their tables are refused.
    pub fn compile_for_snapshots(engine: &Engine, bytes: &[u8]) -> Result<Program, LoadError> {
        let check = |module: &Outline| check(engine, module);
        let (artifact, initial, ()) = engine.compile_for_snapshots_if(bytes, check)?;
        Program::new(engine, artifact, Some(initial))
    }

    fn new(
        engine: &Engine,
        artifact: Artifact,
        initial: Option<Initial>,
    ) -> Result<Program, LoadError> {
        // That it cannot be mapped is told now, and not when an instance starts.
        engine.load(&artifact)?;
        Ok(Program {
            inner: Arc::new(Inner { artifact, initial }),
        })
    }

    /// SHA-256 of the bytes that it was compiled from; of a program for snapshots, what its code is kept under.
    pub fn sha256(&self) -> &[u8; 32] {
        self.inner.artifact.sha256()
    }

    pub(crate) fn initial(&self) -> Option<&Initial> {
        self.inner.initial.as_ref()
    }

    /// The engine for its instances.
    pub(crate) fn runtime(&self, engine: &Engine, limits: &Limits) -> Result<Engine, LoadError> {
        Ok(engine.variant(limits.stack, self.inner.initial.is_some())?)
    }

    /// Loads and links it in such an engine, or finds it linked already.
    pub(crate) fn link<S: Services + 'static>(
        &self,
        runtime: &Engine,
    ) -> Result<InstancePre<State<S>>, LoadError> {
        Ok(runtime.link(&self.inner.artifact, define::<S>)?)
    }
}

fn check(engine: &Engine, module: &Outline) -> Result<(), LoadError> {
    // What is no waPC guest at all should not be told about its imports.
    if !exports::check(module, GUEST_CALL, &["(i32, i32) -> i32"])? {
        return Err(LoadError::NoGuestCall);
    }
    exports::check_memory(module)?;
    for name in START {
        exports::check(module, name, &["() -> ()"])?;
    }
    let mut linker = Linker::new(engine.wasmtime());
    define::<NoServices>(&mut linker).map_err(|e| wasm_runtime::Error::Engine(one_line(&e)))?;
    let guard = Guard::new(engine, Limits::default());
    let state = State::new(NoServices, Rc::new(PluginConfig::default()), guard);
    let mut store = Store::new(engine.wasmtime(), state);
    Ok(imports::check(&linker, &mut store, module)?)
}
