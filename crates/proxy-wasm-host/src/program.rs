//! A compiled and checked Proxy-Wasm module.

use std::rc::Rc;
use std::sync::Arc;

use guest_host::imports;
use guest_host::{Capabilities, Capability};
use wasm_runtime::wasmtime::{InstancePre, Linker, Store};
use wasm_runtime::{Artifact, Engine, Guard, Initial, Limits, Outline};

use crate::abi::AbiVersion;
use crate::callbacks::Callbacks;
use crate::config::VmConfig;
use crate::error::LoadError;
use crate::exports;
use crate::hostcalls::{self, upstream};
use crate::joined::JoinedModules;
use crate::nothing::NoProxy;
use crate::state::State;
use crate::traits::Proxy;

/// A compiled and checked Proxy-Wasm module, independent of any process: compiled in one, it
/// starts in those forked from it as well. Clone = refcount.
#[derive(Clone)]
pub struct Program {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub artifact: Artifact,
    abi: AbiVersion,
    callbacks: Callbacks,
    http_calls: bool,
    grpc_calls: bool,
    redis_calls: bool,
    upstream_hosts: bool,
    /// Its instances can be started from snapshots.
    pub initial: Option<Initial>,
    pub joined: JoinedModules,
}

impl Program {
    /// Compiles a module of the binary (`.wasm`) or text (`.wat`) format and checks that it can
    /// run here: its WebAssembly features, every import, an ABI version, the memory, and the types
    /// of its callbacks, allocator and entry points.
    ///
    /// Bytes that some live program was compiled from are not compiled again. What can be told from
    /// imports and exports is told before anything is compiled.
    pub fn compile(engine: &Engine, bytes: &[u8]) -> Result<Program, LoadError> {
        let check = |outline: &Outline| Checked::new(engine, outline);
        let (artifact, checked) = engine.compile_if(bytes, check)?;
        Program::new(engine, artifact, checked, None)
    }

    /// The same for a module whose instances are to be started from a [`Snapshot`](crate::Snapshot) of another
    /// one. Modules that change their tables are refused.
    pub fn compile_for_snapshots(engine: &Engine, bytes: &[u8]) -> Result<Program, LoadError> {
        let check = |outline: &Outline| Checked::new(engine, outline);
        let (artifact, initial, checked) = engine.compile_for_snapshots_if(bytes, check)?;
        Program::new(engine, artifact, checked, Some(initial))
    }

    fn new(
        engine: &Engine,
        artifact: Artifact,
        checked: Checked,
        initial: Option<Initial>,
    ) -> Result<Program, LoadError> {
        // That it cannot be mapped is told now, and not when an instance starts.
        engine.load(&artifact)?;
        let Checked {
            abi,
            callbacks,
            http_calls,
            grpc_calls,
            redis_calls,
            upstream_hosts,
        } = checked;
        let joined = JoinedModules::compile(engine, callbacks)?;
        Ok(Program {
            inner: Arc::new(Inner {
                artifact,
                abi,
                callbacks,
                http_calls,
                grpc_calls,
                redis_calls,
                upstream_hosts,
                initial,
                joined,
            }),
        })
    }

    /// The engine for its instances.
    pub(crate) fn runtime(&self, engine: &Engine, limits: &Limits) -> Result<Engine, LoadError> {
        let snapshots = self.inner.initial.is_some();
        Ok(engine.variant(limits.stack, snapshots)?)
    }

    /// Loads and links it in such an engine, or finds it linked already.
    pub(crate) fn link<P: Proxy>(
        &self,
        runtime: &Engine,
    ) -> Result<InstancePre<State<P>>, LoadError> {
        Ok(runtime.link(&self.inner.artifact, hostcalls::define::<P>)?)
    }

    /// The version that the module says it was built for.
    pub fn abi(&self) -> AbiVersion {
        self.inner.abi
    }

    /// Which callbacks the module exports.
    pub fn callbacks(&self) -> Callbacks {
        self.inner.callbacks
    }

    /// Can an instance with these capabilities make outbound calls? SDKs import what they could use, whether or not the
    /// guest does.
    pub fn calls_out(&self, capabilities: &Capabilities) -> bool {
        self.inner.http_calls && capabilities.allows(Capability::HttpCall)
            || self.inner.grpc_calls && capabilities.allows(Capability::GrpcCall)
            || self.inner.redis_calls && capabilities.allows(Capability::Redis)
    }

    /// Can an instance with these capabilities look at the servers of upstreams, or choose one?
    pub fn uses_upstream_hosts(&self, capabilities: &Capabilities) -> bool {
        self.inner.upstream_hosts && capabilities.allows(Capability::UpstreamHosts)
    }

    /// SHA-256 of the bytes given to [`Program::compile`]; of a program for snapshots, what its code is kept under.
    pub fn sha256(&self) -> &[u8; 32] {
        self.inner.artifact.sha256()
    }
}

/// What a module's imports and exports say.
struct Checked {
    abi: AbiVersion,
    callbacks: Callbacks,
    http_calls: bool,
    grpc_calls: bool,
    redis_calls: bool,
    upstream_hosts: bool,
}

impl Checked {
    fn new(engine: &Engine, outline: &Outline) -> Result<Checked, LoadError> {
        // What is no Proxy-Wasm module at all should not be told about its imports.
        let (abi, callbacks) = exports::check(outline)?;
        check_imports(engine, outline)?;
        let imports = |names: &[&str]| {
            let mut imports = outline.imports.iter();
            imports.any(|import| names.contains(&import.name.as_str()))
        };
        Ok(Checked {
            abi,
            callbacks,
            http_calls: imports(&["proxy_http_call"]),
            grpc_calls: imports(&["proxy_grpc_call", "proxy_grpc_stream"]),
            redis_calls: imports(&["proxy_redis_call"]),
            upstream_hosts: imports(&[upstream::HOSTS, upstream::OVERRIDE]),
        })
    }
}

/// Compares a module's imports with what is defined for every guest.
fn check_imports(engine: &Engine, outline: &Outline) -> Result<(), LoadError> {
    let runtime = engine.wasmtime();
    let mut linker = Linker::new(runtime);
    hostcalls::define::<NoProxy>(&mut linker)
        .map_err(|e| wasm_runtime::Error::Engine(wasm_runtime::one_line(&e)))?;
    let guard = Guard::new(engine, Limits::default());
    let config = Rc::new(VmConfig::default());
    let state = State::new(NoProxy, AbiVersion::V0_2_1, config, guard);
    let mut store = Store::new(runtime, state);
    Ok(imports::check(&linker, &mut store, outline)?)
}
