//! A program in the process that runs it.

use std::sync::Arc;

use wasm_runtime::wasmtime::{self, Extern, Instance, Linker, ModuleExport, Result, Store};
use wasm_runtime::{Engine, Guard, Limits, Rewind, one_line};

use crate::error::{LoadError, Refusal};
use crate::exports::Returns;
use crate::functions;
use crate::imports::Origin;
use crate::program::Program;
use crate::services::Services;
use crate::settings::{PluginConfig, Settings};
use crate::state::State;
use crate::wait::now;

/// A program, loaded and linked: what instances are made from. Clone = refcount.
pub struct Linked<S: Services> {
    pub(crate) inner: Arc<Inner<S>>,
}

impl<S: Services> Clone for Linked<S> {
    fn clone(&self) -> Linked<S> {
        Linked {
            inner: self.inner.clone(),
        }
    }
}

pub(crate) struct Inner<S: Services> {
    pub program: Program,
    pub settings: Arc<Settings>,
    pub modules: Vec<Module>,
    /// Where the main module's functions are, in the program's order.
    pub functions: Vec<(ModuleExport, Returns)>,
    runtime: Engine,
    kernel: wasmtime::Module,
    linker: Linker<State<S>>,
    limits: Limits,
}

/// A module with its imports resolved.
pub(crate) struct Module {
    pub module: wasmtime::Module,
    imports: Vec<Import>,
}

enum Import {
    Kernel(ModuleExport),
    Host { module: String, name: String },
    Module(usize, ModuleExport),
}

impl<S: Services> Linked<S> {
    /// Loads a program and links it, for instances with this configuration.
    pub fn new(
        engine: &Engine,
        program: &Program,
        config: &PluginConfig,
    ) -> Result<Linked<S>, LoadError> {
        let of_program = &program.inner;
        let runtime = engine.variant(config.limits.stack, of_program.snapshots)?;
        let kernel = runtime.load(&of_program.kernel)?;
        let mut linker = Linker::new(runtime.wasmtime());
        functions::define(&mut linker).map_err(|e| wasm_runtime::Error::Engine(one_line(&e)))?;
        let mut modules: Vec<Module> = Vec::new();
        for part in &of_program.modules {
            let module = runtime.load(&part.artifact)?;
            let mut imports = Vec::new();
            for (import, origin) in module.imports().zip(&part.origins) {
                let name = import.name();
                let export = match origin {
                    Origin::Kernel => kernel.get_export_index(name).map(Import::Kernel),
                    Origin::Module(index) => modules
                        .get(*index)
                        .and_then(|other| other.module.get_export_index(name))
                        .map(|export| Import::Module(*index, export)),
                    Origin::Host => None,
                };
                imports.push(export.unwrap_or_else(|| Import::Host {
                    module: import.module().to_owned(),
                    name: name.to_owned(),
                }));
            }
            modules.push(Module { module, imports });
        }
        let functions = of_program.exports.callable().iter().filter_map(|callable| {
            let main = modules.last()?;
            let export = main.module.get_export_index(&callable.name)?;
            Some((export, callable.returns))
        });
        let functions = functions.collect();
        let settings = Settings::new(config, &of_program.rules, modules.len());
        Ok(Linked {
            inner: Arc::new(Inner {
                program: program.clone(),
                settings: settings.into(),
                modules,
                functions,
                runtime,
                kernel,
                linker,
                limits: config.limits,
            }),
        })
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.inner.program
    }
}

impl<S: Services> Inner<S> {
    pub fn waits(&self) -> bool {
        self.program.inner.waits
    }

    /// A store, with its limits.
    pub fn store(&self, services: S) -> Store<State<S>> {
        let mut guard = Guard::new(&self.runtime, self.limits);
        guard.set_timeout(self.program.inner.rules.timeout);
        let state = State::new(services, self.settings.clone(), guard);
        let mut store = Store::new(self.runtime.wasmtime(), state);
        Guard::attach(&mut store, State::guard);
        store
    }

    /// Makes the kernel's instance. The first of all: nothing waits in it.
    pub fn start_kernel(&self, store: &mut Store<State<S>>) -> Result<Instance> {
        let kernel = Instance::new(&mut *store, &self.kernel, &[])?;
        store.data_mut().kernel.memory = kernel.get_memory(&mut *store, "memory");
        Ok(kernel)
    }

    /// What a module imports, given the instances before it.
    pub fn imports(
        &self,
        store: &mut Store<State<S>>,
        kernel: &Instance,
        module: &Module,
        instances: &[Instance],
    ) -> Result<Vec<Extern>> {
        let mut externs = Vec::with_capacity(module.imports.len());
        for import in &module.imports {
            let found = match import {
                Import::Kernel(export) => kernel.get_module_export(&mut *store, export),
                Import::Module(index, export) => instances
                    .get(*index)
                    .and_then(|instance| instance.get_module_export(&mut *store, export)),
                Import::Host { module, name } => {
                    Some(self.linker.get(&mut *store, module, name)?)
                }
            };
            // All have been found before.
            externs.push(found.ok_or(Refusal::NoMemory)?);
        }
        Ok(externs)
    }

    /// Makes an instance of a module from a snapshot: no code of the guest's runs, so nothing waits.
    pub fn instantiate_from(
        &self,
        store: &mut Store<State<S>>,
        module: &Module,
        imports: &[Extern],
        snapshot: &wasm_runtime::Snapshot,
    ) -> Result<(Instance, Rewind)> {
        snapshot.instantiate_with(store, |store| match self.waits() {
            true => now(Instance::new_async(&mut *store, &module.module, imports))
                .unwrap_or_else(|| Err(wasmtime::Error::msg("waits in its start"))),
            false => Instance::new(&mut *store, &module.module, imports),
        })
    }
}
