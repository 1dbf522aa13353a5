//! A compiled and checked waPC guest.

use std::rc::Rc;

use guest_host::{Code, Services, exports, imports};
use wasm_runtime::wasmtime::{InstancePre, Linker, Store};
use wasm_runtime::{Engine, Guard, Limits, Outline, one_line};

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

/// A compiled and checked waPC guest, independent of any process. Clone = refcount.
#[derive(Clone)]
pub struct Program {
    code: Code,
}

impl Program {
    /// Compiles a module of the binary (`.wasm`) or text (`.wat`) format and checks that it can run here: its WebAssembly
    /// features, every import, the memory, and the types of `__guest_call` and of what runs at the start.
    pub fn compile(engine: &Engine, bytes: &[u8]) -> Result<Program, LoadError> {
        let (code, ()) = Code::compile(engine, bytes, |module| check(engine, module))?;
        Ok(Program { code })
    }

    /// The same for a module whose instances are to be started from a [`Snapshot`](crate::Snapshot) of another one.
    /// Modules that change their tables are refused.
    pub fn compile_for_snapshots(engine: &Engine, bytes: &[u8]) -> Result<Program, LoadError> {
        let check = |module: &Outline| check(engine, module);
        let (code, ()) = Code::compile_for_snapshots(engine, bytes, check)?;
        Ok(Program { code })
    }

    /// SHA-256 of the bytes that it was compiled from; of a program for snapshots, what its code is kept under.
    pub fn sha256(&self) -> &[u8; 32] {
        self.code.sha256()
    }

    pub(crate) fn code(&self) -> &Code {
        &self.code
    }

    /// Loads and links it in an engine for its instances, or finds it linked already.
    pub(crate) fn link<S: Services + 'static>(
        &self,
        runtime: &Engine,
    ) -> Result<InstancePre<State<S>>, LoadError> {
        Ok(self.code.link(runtime, define::<S>)?)
    }
}

pub(crate) fn no_guest_call() -> LoadError {
    LoadError::NoFunction {
        kind: "a waPC guest",
        function: GUEST_CALL,
    }
}

fn check(engine: &Engine, module: &Outline) -> Result<(), LoadError> {
    // What is no waPC guest at all should not be told about its imports.
    if !exports::check(module, GUEST_CALL, &["(i32, i32) -> i32"])? {
        return Err(no_guest_call());
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
