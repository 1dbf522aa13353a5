//! The runtime of one process: the engines that it has, their clock and their cache.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use wasmtime::{InstancePre, Linker, Module};

use crate::artifact::Artifact;
use crate::cache::Cache;
use crate::error::{Error, one_line};
use crate::limits::Limits;
use crate::modules::Modules;
use crate::settings::config;
use crate::snapshot::memory::Memories;
use crate::stack::{self, Stacks};
use crate::ticker::{Clock, TICK, Ticker};

/// The WebAssembly runtime of one process. Clone = refcount.
///
/// It starts no thread by itself, so it survives a fork that happens while no guest runs and no [`Ticker`] is there:
/// both processes have what was loaded then, and nothing in common that either could change.
#[derive(Clone)]
pub struct Engine {
    inner: wasmtime::Engine,
    modules: Modules,
    family: Arc<Family>,
}

/// The engines that a process has.
#[derive(Default)]
struct Family {
    clock: Arc<Clock>,
    cache: OnceLock<Cache>,
    /// What there is to tell of compiling.
    notes: Mutex<Vec<String>>,
    engines: Mutex<Vec<(Kind, wasmtime::Engine, Modules)>>,
}

/// What engines of a process differ in. Artifacts fit them all.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    /// Bytes of a guest's stack.
    stack: usize,
    /// Memories can start from a [`Snapshot`](crate::Snapshot).
    snapshots: bool,
}

impl Engine {
    pub fn new() -> Result<Engine, Error> {
        Engine::of(
            &Arc::default(),
            Kind {
                stack: Limits::default().stack,
                snapshots: false,
            },
        )
    }

    /// The engine of the same process whose guests have a stack of so many bytes, and whose instances can be
    /// started from snapshots if so wanted.
    pub fn variant(&self, stack: usize, snapshots: bool) -> Result<Engine, Error> {
        Engine::of(&self.family, Kind { stack, snapshots })
    }

    fn of(family: &Arc<Family>, kind: Kind) -> Result<Engine, Error> {
        let mut engines = family
            .engines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = engines.iter().find(|(other, ..)| *other == kind);
        let (inner, modules) = match known {
            Some((_, inner, modules)) => (inner.clone(), modules.clone()),
            None => {
                let mut config = config();
                config.max_wasm_stack(kind.stack);
                config.async_stack_size(kind.stack + stack::HOST);
                config.with_host_stack(Arc::new(Stacks::default()));
                if kind.snapshots {
                    config.with_host_memory(Arc::new(Memories));
                }
                let inner =
                    wasmtime::Engine::new(&config).map_err(|e| Error::Engine(one_line(&e)))?;
                family.clock.add(&inner);
                let modules = Modules::default();
                engines.push((kind, inner.clone(), modules.clone()));
                (inner, modules)
            }
        };
        drop(engines);
        Ok(Engine {
            inner,
            modules,
            family: family.clone(),
        })
    }

    /// Starts the thread that ends guests which run for too long; it ends with the result. Without it they have
    /// no limit of time.
    ///
    /// `shortest`: the shortest [`Limits::cpu_time`] or [`Limits::start_time`] of the guests.
    pub fn start_ticker(&self, shortest: Duration) -> Result<Ticker, Error> {
        let tick = shortest.clamp(Duration::from_millis(1), TICK);
        let started = self.family.clock.start(tick);
        started.map_err(|e| Error::Engine(format!("no thread: {e}")))
    }

    /// Where compiled code is kept.
    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.family.cache.get()
    }

    /// The artifact's module in this process; maps it at the first call only.
    pub fn load(&self, artifact: &Artifact) -> Result<Module, Error> {
        self.modules.load(&self.inner, artifact)
    }

    /// The same with its imports resolved; links it at the first call only. `define` defines the host's functions, which
    /// must be the same for all modules of a type `T`.
    pub fn link<T: 'static>(
        &self,
        artifact: &Artifact,
        define: impl FnOnce(&mut Linker<T>) -> wasmtime::Result<()>,
    ) -> Result<InstancePre<T>, Error> {
        self.modules.link(&self.inner, artifact, define)
    }

    pub(crate) fn clock(&self) -> &Arc<Clock> {
        &self.family.clock
    }

    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner
    }

    /// Takes compiled code from a directory from now on, and puts it there. It is made if it is missing. The error, one
    /// line, says what is wrong with it: it cannot be made or written, or others could write to it.
    pub fn use_cache(&self, directory: &Path) -> Result<(), String> {
        let cache = Cache::open(directory, &self.inner)?;
        let set = self.family.cache.set(cache);
        set.map_err(|_| "there is a cache already".into())
    }

    /// What there is to tell of the cache since the last time; each is one line.
    pub fn take_cache_warnings(&self) -> Vec<String> {
        let cache = self.family.cache.get();
        cache.map_or(Vec::new(), Cache::take_warnings)
    }
    pub(crate) fn note(&self, note: String) {
        let notes = &self.family.notes;
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(note);
    }

    /// What there is to tell of compiling since the last time; each is one line. Nothing of it is a mistake.
    pub fn take_notes(&self) -> Vec<String> {
        let notes = &self.family.notes;
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *notes)
    }
}
