//! Callbacks that follow each other at once, made by one entry into the guest.
//!
//! To enter a guest costs more than what most callbacks do in it. So a small module of this crate's own stands beside the
//! guest, in the same store: it is given the guest's callbacks, and calls one behind the other. Where the host has something
//! to do between two of them it says so while the first one runs, by the global `stop`; the module returns then, and the host
//! makes the rest of the calls itself. The global `at` tells which callback has trapped.

use wasm_runtime::wasmtime::{
    AsContextMut, Extern, Func, Global, Instance, Module, Store, TypedFunc, Val, WasmParams,
    WasmResults,
};
use wasm_runtime::{Artifact, Engine, one_line};

use crate::callbacks::{CONTEXT_CREATE, Callbacks, DELETE, DONE, Exports, LOG, REQUEST_HEADERS};
use crate::error::{LoadError, StartError};
use crate::functions::HeadersFn;

/// `proxy_on_context_create` and `proxy_on_request_headers`. The first result: have the headers been told?
const BEGIN: &str = include_str!("joined/begin.wat");
/// The callbacks of `BEGIN`, by `at`.
const BEGIN_NAMES: &[&str] = &[CONTEXT_CREATE.name, REQUEST_HEADERS.name];

/// `proxy_on_done`, `proxy_on_log` if wanted, and `proxy_on_delete`. The result is a [`Ended`].
const END: &str = include_str!("joined/end.wat");
/// The callbacks of `END`, by `at`.
const END_NAMES: &[&str] = &[DONE.name, LOG.name, DELETE.name];

/// How far the callbacks at the end of a context have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// `proxy_on_done` has answered that the context waits.
    Waits,
    /// The same has been made, and the host has something to do.
    Done,
    /// So has `proxy_on_log`.
    Logged,
    /// All have been made.
    Deleted,
}

impl Ended {
    pub fn of(result: u32) -> Ended {
        match result {
            0 => Ended::Waits,
            1 => Ended::Done,
            2 => Ended::Logged,
            _ => Ended::Deleted,
        }
    }
}

/// The modules for a guest, compiled.
pub(crate) struct JoinedModules {
    begin: Option<Artifact>,
    end: Option<Artifact>,
}

impl JoinedModules {
    /// Those for a guest that exports these callbacks.
    pub fn compile(engine: &Engine, callbacks: Callbacks) -> Result<JoinedModules, LoadError> {
        let begins = callbacks.context_create() && callbacks.request_headers();
        let ends = callbacks.done() && callbacks.log() && callbacks.delete();
        let compile = |text: &str| engine.compile_own(text.as_bytes());
        Ok(JoinedModules {
            begin: begins.then(|| compile(BEGIN)).transpose()?,
            end: ends.then(|| compile(END)).transpose()?,
        })
    }
}

/// Takes the context, its parent, the number of headers and whether that is all; answers whether the headers have been told, and
/// what the guest has answered to them.
pub(crate) type Begin = Joint<(u32, u32, u32, u32), (u32, u32)>;
/// Takes the context, and whether it is logged; answers an [`Ended`].
pub(crate) type End = Joint<(u32, u32), u32>;

/// The modules' instances beside a guest's; those that the guest has no callbacks for are missing.
pub(crate) struct Joined {
    pub begin: Option<Begin>,
    pub end: Option<End>,
}

/// An entry into several callbacks.
pub(crate) struct Joint<A, R> {
    pub function: TypedFunc<A, R>,
    at: Global,
    stop: Stop,
    names: &'static [&'static str],
}

/// Has the module return when the callback that runs has.
#[derive(Clone, Copy)]
pub(crate) struct Stop(Global);

impl Stop {
    pub fn set(self, store: impl AsContextMut) {
        // It is a mutable global of this type.
        let _ = self.0.set(store, Val::I32(1));
    }
}

impl Joined {
    /// `engine`: the one of the store.
    pub fn start<T: 'static>(
        modules: &JoinedModules,
        engine: &Engine,
        store: &mut Store<T>,
        exports: &Exports,
    ) -> Result<Joined, StartError> {
        let load = |artifact: &Option<Artifact>| match artifact {
            Some(artifact) => engine.load(artifact).map(Some).map_err(LoadError::from),
            None => Ok(None),
        };
        let functions = match (
            (CONTEXT_CREATE.function)(exports),
            (REQUEST_HEADERS.function)(exports),
        ) {
            (Some(create), Some(HeadersFn::WithEnd(headers))) => {
                Some([create.func(), headers.func()])
            }
            _ => None,
        };
        let begin = match (load(&modules.begin)?, functions) {
            (Some(module), Some(functions)) => {
                Joint::start(&module, store, &functions, BEGIN_NAMES)?
            }
            _ => None,
        };
        let functions = match (
            (DONE.function)(exports),
            (LOG.function)(exports),
            (DELETE.function)(exports),
        ) {
            (Some(done), Some(log), Some(delete)) => Some([done.func(), log.func(), delete.func()]),
            _ => None,
        };
        let end = match (load(&modules.end)?, functions) {
            (Some(module), Some(functions)) => Joint::start(&module, store, &functions, END_NAMES)?,
            _ => None,
        };
        Ok(Joined { begin, end })
    }
}

impl<A: WasmParams, R: WasmResults> Joint<A, R> {
    fn start<T: 'static>(
        module: &Module,
        store: &mut Store<T>,
        functions: &[&Func],
        names: &'static [&'static str],
    ) -> Result<Option<Joint<A, R>>, StartError> {
        let functions: Vec<Extern> = functions.iter().map(|f| Extern::Func(**f)).collect();
        let instance = Instance::new(&mut *store, module, &functions)
            .map_err(|error| StartError::Instantiate(one_line(&error)))?;
        let function = instance
            .get_typed_func(&mut *store, "run")
            .map_err(|error| StartError::Instantiate(one_line(&error)))?;
        let globals = ["at", "stop"].map(|name| instance.get_global(&mut *store, name));
        Ok(match globals {
            [Some(at), Some(stop)] => Some(Joint {
                function,
                at,
                stop: Stop(stop),
                names,
            }),
            _ => None,
        })
    }

    pub fn stop(&self) -> Stop {
        self.stop
    }

    /// The callback that has been entered last.
    #[cold]
    pub fn callback(&self, mut store: impl AsContextMut) -> &'static str {
        let at = self.at.get(store.as_context_mut()).i32().unwrap_or(0);
        let at = usize::try_from(at).ok();
        at.and_then(|at| self.names.get(at)).copied().unwrap_or("")
    }
}
