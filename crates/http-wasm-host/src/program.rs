//! A compiled and checked http-wasm guest.

use std::rc::Rc;

use guest_host::{Code, exports, imports};
use wasm_runtime::wasmtime::{InstancePre, Linker, Store};
use wasm_runtime::{Engine, Guard, Limits, Outline, one_line};

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

/// A compiled and checked http-wasm guest, independent of any process. Clone = refcount.
#[derive(Clone)]
pub struct Program {
    code: Code,
    imports: Imports,
}

impl Program {
    /// Compiles a module of the binary (`.wasm`) or text (`.wat`) format and checks that it can run here: its WebAssembly
    /// features, every import, the memory, and the types of the two handlers and of what runs at the start.
    pub fn compile(engine: &Engine, bytes: &[u8]) -> Result<Program, LoadError> {
        let (code, imports) = Code::compile(engine, bytes, |module| check(engine, module))?;
        Ok(Program { code, imports })
    }

    /// The same for a module whose instances are to be started from a [`Snapshot`](crate::Snapshot) of another one.
    /// Modules that change their tables are refused.
    pub fn compile_for_snapshots(engine: &Engine, bytes: &[u8]) -> Result<Program, LoadError> {
        let check = |module: &Outline| check(engine, module);
        let (code, imports) = Code::compile_for_snapshots(engine, bytes, check)?;
        Ok(Program { code, imports })
    }

    /// SHA-256 of the bytes that it was compiled from; of a program for snapshots, what its code is kept under.
    pub fn sha256(&self) -> &[u8; 32] {
        self.code.sha256()
    }

    pub fn imports(&self) -> Imports {
        self.imports
    }

    pub(crate) fn code(&self) -> &Code {
        &self.code
    }

    /// Loads and links it in an engine for its instances, or finds it linked already.
    pub(crate) fn link<P: Proxy>(
        &self,
        runtime: &Engine,
    ) -> Result<InstancePre<State<P>>, LoadError> {
        Ok(self.code.link(runtime, define::<P>)?)
    }
}

pub(crate) fn no_function(function: &'static str) -> LoadError {
    LoadError::NoFunction {
        kind: "an http-wasm guest",
        function,
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
            return Err(no_function(name));
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
