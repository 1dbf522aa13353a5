//! The runtime of one process: settings, compiling, loading.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use wasmparser::{Validator, WasmFeatures};
use wasmtime::{Config, Module, WasmBacktraceDetails};

use crate::artifact::{self, Artifact, sha256};
use crate::cache::{Cache, Miss};
use crate::error::{Error, one_line, push_words};
use crate::limits::Limits;
use crate::memory::Memories;
use crate::outline::Outline;
use crate::rewrite::{check_code, rewrite};
use crate::snapshot::Initial;
use crate::stack::{self, Stacks};
use crate::ticker::{Clock, TICK, Ticker};

/// The WebAssembly runtime of one process. Clone = refcount.
///
/// It starts no thread by itself, so it survives a fork that happens while no guest runs and no [`Ticker`] is there:
/// both processes have what was loaded then, and nothing in common that either could change.
#[derive(Clone)]
pub struct Engine {
    inner: wasmtime::Engine,
    loaded: LoadedModules,
    family: Arc<Family>,
}

/// The engines that a process has.
#[derive(Default)]
struct Family {
    clock: Arc<Clock>,
    cache: OnceLock<Cache>,
    engines: Mutex<Vec<(Kind, wasmtime::Engine, LoadedModules)>>,
}

/// What engines of a process differ in. Artifacts fit them all.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    /// Bytes of a guest's stack.
    stack: usize,
    /// Memories can start from a [`Snapshot`](crate::Snapshot).
    snapshots: bool,
}

type LoadedModules = Arc<Mutex<HashMap<[u8; 32], Loaded>>>;

/// A module of this engine, for as long as its artifact lives.
struct Loaded {
    artifact: Weak<artifact::Inner>,
    module: Module,
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
        let (inner, loaded) = match known {
            Some((_, inner, loaded)) => (inner.clone(), loaded.clone()),
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
                let loaded = LoadedModules::default();
                engines.push((kind, inner.clone(), loaded.clone()));
                (inner, loaded)
            }
        };
        drop(engines);
        Ok(Engine {
            inner,
            loaded,
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

    /// Compiles the binary or text format. Bytes that some live artifact of this process, or of
    /// the one it was forked from, was compiled from are not compiled again.
    pub fn compile(&self, bytes: &[u8]) -> Result<Artifact, Error> {
        let (artifact, ()) = self.compile_if(bytes, |_| Ok::<_, Error>(()))?;
        Ok(artifact)
    }

    /// The same where `check` takes what the module imports and exports: it is asked before
    /// anything is compiled, which can take seconds.
    pub fn compile_if<R, E: From<Error>>(
        &self,
        bytes: &[u8],
        check: impl FnOnce(&Outline) -> Result<R, E>,
    ) -> Result<(Artifact, R), E> {
        let sha256 = sha256(bytes);
        let found = self.find(&sha256);
        let binary = binary(bytes)?;
        if found.is_err() {
            self.validate(&binary)?;
        }
        let checked = check(&Outline::of(&binary)?)?;
        let artifact = match found {
            Ok(artifact) => artifact,
            Err(miss) => self.compile_binary(sha256, &binary, miss)?,
        };
        Ok((artifact, checked))
    }

    /// The same for a module whose instances are to be started from snapshots.
    pub fn compile_for_snapshots(&self, bytes: &[u8]) -> Result<(Artifact, Initial), Error> {
        let (artifact, initial, ()) =
            self.compile_for_snapshots_if(bytes, |_| Ok::<_, Error>(()))?;
        Ok((artifact, initial))
    }

    /// The same where `check` takes what the module imports and exports.
    pub fn compile_for_snapshots_if<R, E: From<Error>>(
        &self,
        bytes: &[u8],
        check: impl FnOnce(&Outline) -> Result<R, E>,
    ) -> Result<(Artifact, Initial, R), E> {
        let binary = binary(bytes)?;
        let rewritten = rewrite(&binary);
        let rewritten = match rewritten {
            Ok(rewritten) => rewritten,
            Err(error) => return Err(self.validate(&binary).err().unwrap_or(error).into()),
        };
        // Under which of the two it was compiled tells what a look at all of its code did, which takes longer than all the rest.
        let hash = sha256(&rewritten.binary);
        let keys = [false, true].map(|drops_data| snapshot_key(&hash, drops_data));
        let mut found = keys.map(|key| self.look_up(&key));
        let known = found.iter().position(Result::is_ok);
        artifact::count(known.is_some());
        if known.is_none() {
            self.validate(&binary)?;
        }
        let checked = check(&Outline::of(&binary)?)?;
        let drops_data = match known {
            Some(known) => known == 1,
            None => check_code(&binary)?,
        };
        let which = usize::from(drops_data);
        let artifact = match std::mem::replace(&mut found[which], Err(None)) {
            Ok(artifact) => artifact,
            Err(miss) => self.compile_binary(keys[which], &rewritten.binary, miss)?,
        };
        let initial = Initial {
            data: rewritten.data.into(),
            rewinds: !drops_data,
        };
        Ok((artifact, initial, checked))
    }

    /// Apart from compiling, so that a broken module is told from a failing compiler.
    fn validate(&self, binary: &[u8]) -> Result<(), Error> {
        Module::validate(&self.inner, binary).map_err(|e| invalid(&e, binary))
    }

    /// What was compiled already, in this process or into the cache; counted.
    fn find(&self, sha256: &[u8; 32]) -> Result<Artifact, Option<Miss>> {
        let found = self.look_up(sha256);
        artifact::count(found.is_ok());
        found
    }

    fn look_up(&self, sha256: &[u8; 32]) -> Result<Artifact, Option<Miss>> {
        match Artifact::find(sha256) {
            Some(artifact) => {
                if let Some(cache) = self.family.cache.get() {
                    cache.keep(sha256, artifact.file());
                }
                Ok(artifact)
            }
            None => match self.family.cache.get() {
                Some(cache) => self.cached(cache, sha256).map_err(Some),
                None => Err(None),
            },
        }
    }

    fn cached(&self, cache: &Cache, sha256: &[u8; 32]) -> Result<Artifact, Miss> {
        let artifact = Artifact::new(*sha256, cache.get(sha256)?);
        match self.load(&artifact) {
            Ok(_) => Ok(artifact),
            Err(error) => Err(cache.reject(format!("does not fit ({error})"))),
        }
    }

    fn compile_binary(
        &self,
        sha256: [u8; 32],
        binary: &[u8],
        miss: Option<Miss>,
    ) -> Result<Artifact, Error> {
        let code = self.inner.precompile_module(binary);
        let code = code.map_err(|e| Error::Compile(one_line(&e)))?;
        if let (Some(cache), Some(miss)) = (self.family.cache.get(), miss) {
            cache.put(&sha256, &code, miss);
        }
        Artifact::store(sha256, &code)
    }

    /// The artifact's module in this process; maps it at the first call only.
    pub fn load(&self, artifact: &Artifact) -> Result<Module, Error> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaded.get(artifact.sha256())
            && known.artifact.strong_count() > 0
        {
            return Ok(known.module.clone());
        }
        let module = map(&self.inner, artifact)?;
        loaded.retain(|_, known| known.artifact.strong_count() > 0);
        loaded.insert(
            *artifact.sha256(),
            Loaded {
                artifact: artifact.downgrade(),
                module: module.clone(),
            },
        );
        Ok(module)
    }
}

/// What the code of a rewritten module is kept under. No module that is compiled as it is has the same, for its code was not
/// checked; nor has one that differs in `drops_data`.
fn snapshot_key(rewritten: &[u8; 32], drops_data: bool) -> [u8; 32] {
    let kind: &[u8] = match drops_data {
        false => b"snapshot",
        true => b"snapshot, drops data",
    };
    sha256(&[rewritten, kind].concat())
}

/// The same in every process, or an artifact of one would not load in another.
fn config() -> Config {
    let mut config = Config::new();
    config
        // What LLVM, Go and AssemblyScript emit. Their defaults grow with time; Wasmtime's own
        // are the standard's version 3, of which the rest of this list is what no SDK needs.
        .wasm_tail_call(true)
        .wasm_extended_const(true)
        .wasm_simd(true)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        // Trap handling walks frame pointers; registering with the system's unwinder is slow
        // and would only serve a native debugger.
        .native_unwind_info(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // A guest that runs for too long is ended.
        .epoch_interruption(true)
        // An instance starts with its data mapped from the artifact, and copies a page when the
        // guest writes to it.
        .memory_init_cow(true);
    config
}

/// The binary format, converted from the text format if need be.
fn binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    if let Some(rest) = bytes.strip_prefix(b"\0asm") {
        // Version 1 is a module, layer 1 of any version a component.
        return match rest.get(..4) {
            Some([_, _, 1, 0]) => Err(Error::Component),
            _ => Ok(Cow::Borrowed(bytes)),
        };
    }
    match wat::Detect::from_bytes(bytes) {
        wat::Detect::WasmText => {
            let binary = wat::parse_bytes(bytes).map_err(|e| Error::Text(text_error(&e)))?;
            if binary.get(6) == Some(&1) {
                return Err(Error::Component);
            }
            Ok(binary)
        }
        _ => Err(Error::NotWasm),
    }
}

/// `wat` quotes the source in further lines: the message and the position stay.
fn text_error(error: &wat::Error) -> String {
    let message = error.to_string();
    let mut lines = message.lines();
    let mut line = String::new();
    push_words(&mut line, lines.next().unwrap_or_default());
    if let Some(position) = lines
        .next()
        .and_then(|l| l.trim().strip_prefix("--> <anon>:"))
    {
        line.push_str(" at ");
        push_words(&mut line, position);
    }
    line
}

/// A module that would be valid with every extension of WebAssembly needs one that is off.
fn invalid(error: &wasmtime::Error, binary: &[u8]) -> Error {
    let line = one_line(error);
    match Validator::new_with_features(WasmFeatures::all()).validate_all(binary) {
        Ok(_) => Error::Feature(line),
        Err(_) => Error::Invalid(line),
    }
}

/// Maps an artifact's file.
#[allow(unsafe_code)]
fn map(engine: &wasmtime::Engine, artifact: &Artifact) -> Result<Module, Error> {
    let file = artifact
        .file()
        .try_clone()
        .map_err(|e| Error::Artifact(e.to_string()))?;
    // SAFETY: the file holds what this program's own `precompile_module` returned, and is sealed,
    // so nothing has changed it since, nor can. Wasmtime checks that the settings are the same.
    unsafe { Module::deserialize_open_file(engine, file) }
        .map_err(|e| Error::Artifact(one_line(&e)))
}
