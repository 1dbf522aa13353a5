//! A compiled and checked http-wasm guest.

use std::rc::Rc;
use std::sync::Arc;

use guest_host::{exports, imports};
use wasm_runtime::wasmtime::{InstancePre, Linker, Store};
use wasm_runtime::{Artifact, Engine, Guard, Initial, Limits, Outline, one_line};

use crate::error::LoadError;
use crate::exchange::Proxy;
use crate::functions::{HTTP_HANDLER, define};
use crate::nothing::NoProxy;
use crate::state::{State, VmConfig};

/// What the guest is called by before the next handler, and behind it.
pub(crate) const HANDLE_REQUEST: &str = "handle_request";
pub(crate) const HANDLE_RESPONSE: &str = "handle_response";

/// What runs when an instance starts, as far as it is exported, in this order.
pub(crate) const START: [&str; 2] = ["_start", "_initialize"];

/// Is this an http-wasm guest?
pub fn is_http_wasm(module: &Outline) -> bool {
    let mut imports = module.imports.iter();
    let exported = |name| module.export(name).is_some();
    exported(HANDLE_REQUEST) && exported(HANDLE_RESPONSE)
        || imports.any(|import| import.module == HTTP_HANDLER)
}

/// What a guest can do, by what it imports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imports {
    /// It may ask for features, such as that the response waits.
    pub enables_features: bool,
    pub reads_bodies: bool,
    pub writes_bodies: bool,
}

impl Imports {
    fn of(module: &Outline) -> Imports {
        let has = |name| {
            let mut imports = module.imports.iter();
            imports.any(|import| import.module == HTTP_HANDLER && import.name == name)
        };
        Imports {
            enables_features: has("enable_features"),
            reads_bodies: has("read_body"),
            writes_bodies: has("write_body"),
        }
    }
}

/// A compiled and checked http-wasm guest, independent of any process: compiled in one, it starts in those forked from it as
/// well. Clone = refcount.
#[derive(Clone)]
pub struct Program {
    inner: Arc<Inner>,
}

struct Inner {
    artifact: Artifact,
    imports: Imports,
    /// Its instances can be started from snapshots.
    initial: Option<Initial>,
}

impl Program {
    /// Compiles a module of the binary (`.wasm`) or text (`.wat`) format and checks that it can run here: its WebAssembly
    /// features, every import, the memory, and the types of the two handlers and of what runs at the start.
    pub fn compile(engine: &Engine, bytes: &[u8]) -> Result<Program, LoadError> {
        let (artifact, imports) = engine.compile_if(bytes, |module| check(engine, module))?;
        Program::new(engine, artifact, imports, None)
    }

    /// The same for a module whose instances are to be started from a [`Snapshot`](crate::Snapshot) of another one.
    /// Modules that change their tables are refused.
    pub fn compile_for_snapshots(engine: &Engine, bytes: &[u8]) -> Result<Program, LoadError> {
        let check = |module: &Outline| check(engine, module);
        let (artifact, initial, imports) = engine.compile_for_snapshots_if(bytes, check)?;
        Program::new(engine, artifact, imports, Some(initial))
    }

    fn new(
        engine: &Engine,
        artifact: Artifact,
        imports: Imports,
        initial: Option<Initial>,
    ) -> Result<Program, LoadError> {
        // That it cannot be mapped is told now, and not when an instance starts.
        engine.load(&artifact)?;
        Ok(Program {
            inner: Arc::new(Inner {
                artifact,
                imports,
                initial,
            }),
        })
    }

    /// SHA-256 of the bytes that it was compiled from; of a program for snapshots, what its code is kept under.
    pub fn sha256(&self) -> &[u8; 32] {
        self.inner.artifact.sha256()
    }

    pub fn imports(&self) -> Imports {
        self.inner.imports
    }

    pub(crate) fn initial(&self) -> Option<&Initial> {
        self.inner.initial.as_ref()
    }

    /// The engine for its instances.
    pub(crate) fn runtime(&self, engine: &Engine, limits: &Limits) -> Result<Engine, LoadError> {
        Ok(engine.variant(limits.stack, self.inner.initial.is_some())?)
    }

    /// Loads and links it in such an engine, or finds it linked already.
    pub(crate) fn link<P: Proxy>(
        &self,
        runtime: &Engine,
    ) -> Result<InstancePre<State<P>>, LoadError> {
        Ok(runtime.link(&self.inner.artifact, define::<P>)?)
    }
}

fn check(engine: &Engine, module: &Outline) -> Result<Imports, LoadError> {
    // What is no http-wasm guest at all should not be told about its imports.
    let handlers = [
        (HANDLE_REQUEST, "() -> i64"),
        (HANDLE_RESPONSE, "(i32, i32) -> ()"),
    ];
    for (name, ty) in handlers {
        if !exports::check(module, name, &[ty])? {
            return Err(LoadError::NoHandler(name));
        }
    }
    exports::check_memory(module)?;
    for name in START {
        exports::check(module, name, &["() -> ()"])?;
    }
    let mut linker = Linker::new(engine.wasmtime());
    define::<NoProxy>(&mut linker).map_err(|e| wasm_runtime::Error::Engine(one_line(&e)))?;
    let guard = Guard::new(engine, Limits::default());
    let state = State::new(NoProxy, Rc::new(VmConfig::default()), guard);
    let mut store = Store::new(engine.wasmtime(), state);
    imports::check(&linker, &mut store, module)?;
    Ok(Imports::of(module))
}
