//! Where imports come from.

use std::future::{Future, ready};

use guest_host::{InterfaceError, LogLevel};
use wasm_runtime::wasmtime::{ExternType, Linker, Store};
use wasm_runtime::{Engine, Guard, Import, Limits, Outline, Type, one_line};

use crate::error::LoadError;
use crate::functions;
use crate::services::{HttpRequest, HttpResult, Services};
use crate::settings::{PluginConfig, Settings};
use crate::state::State;

/// Functions of the kernel and the host.
pub const ENV: &str = "extism:host/env";
/// Functions that the embedder offers.
pub const USER: &str = "extism:host/user";
/// The module whose functions are called.
pub const MAIN: &str = "main";

/// Where an import comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The kernel.
    Kernel,
    /// A function of the host's.
    Host,
    /// Another module, by its place in the plugin.
    Module(usize),
}

/// What every plugin can import.
pub struct Offer {
    linker: Linker<State<Nothing>>,
    store: Store<State<Nothing>>,
    kernel: Outline,
}

impl Offer {
    pub fn new(engine: &Engine, kernel: Outline) -> Result<Offer, LoadError> {
        let runtime = engine.wasmtime();
        let mut linker = Linker::new(runtime);
        functions::define::<Nothing>(&mut linker)
            .map_err(|e| wasm_runtime::Error::Engine(one_line(&e)))?;
        let guard = Guard::new(engine, Limits::default());
        let settings = Settings::new(&PluginConfig::default(), &Default::default(), 1);
        let state = State::new(Nothing, settings.into(), guard);
        Ok(Offer {
            linker,
            store: Store::new(runtime, state),
            kernel,
        })
    }

    /// Finds where a module's imports come from, in its order. `modules`: those of the plugin, which come first.
    pub fn origins(
        &mut self,
        outline: &Outline,
        modules: &[(&str, &Outline)],
    ) -> Result<Vec<Origin>, LoadError> {
        let mut origins = Vec::new();
        let mut unknown = Vec::new();
        for import in &outline.imports {
            match self.origin(import, modules)? {
                Some(origin) => origins.push(origin),
                None => {
                    let name = full_name(import);
                    if !unknown.contains(&name) {
                        unknown.push(name);
                    }
                }
            }
        }
        match unknown.is_empty() {
            true => Ok(origins),
            false => Err(InterfaceError::UnknownImports(unknown).into()),
        }
    }

    /// `None`: nobody has it.
    fn origin(
        &mut self,
        import: &Import,
        modules: &[(&str, &Outline)],
    ) -> Result<Option<Origin>, LoadError> {
        let named = modules.iter().position(|(name, _)| *name == import.module);
        if let Some(index) = named
            && let Some(ty) = modules[index].1.export(&import.name)
        {
            check_type(import, ty)?;
            return Ok(Some(Origin::Module(index)));
        }
        if let Some(ty) = self.kernel.export(&import.name)
            && import.module == ENV
            && matches!(ty, Type::Func { .. })
        {
            check_type(import, ty)?;
            return Ok(Some(Origin::Kernel));
        }
        let found = self
            .linker
            .get(&mut self.store, &import.module, &import.name);
        match found.ok().map(|host| host.ty(&self.store)) {
            Some(ExternType::Func(host)) => {
                let ty = Type::Func {
                    params: host.params().map(|ty| ty.to_string()).collect(),
                    results: host.results().map(|ty| ty.to_string()).collect(),
                };
                check_type(import, &ty)?;
                Ok(Some(Origin::Host))
            }
            _ if named.is_some() => Err(LoadError::MissingExport(full_name(import))),
            _ => Ok(None),
        }
    }
}

fn full_name(import: &Import) -> String {
    format!("{}.{}", import.module, import.name)
}

/// Memories, tables and globals have more to their types: Wasmtime looks at that when there is an instance.
fn check_type(import: &Import, ty: &Type) -> Result<(), InterfaceError> {
    match import.ty == *ty {
        true => Ok(()),
        false => Err(InterfaceError::ImportType {
            name: full_name(import),
            module: written(&import.ty),
            host: written(ty),
        }),
    }
}

/// `(i32, i32) -> i32`
pub fn written(ty: &Type) -> String {
    match ty {
        Type::Func { params, results } => match results.as_slice() {
            [one] => format!("({}) -> {one}", params.join(", ")),
            results => format!("({}) -> ({})", params.join(", "), results.join(", ")),
        },
        _ => "something that is no function".to_owned(),
    }
}

/// Stands for an embedder where no guest runs.
pub struct Nothing;

impl guest_host::Services for Nothing {
    fn log_enabled(&self, _level: LogLevel) -> bool {
        false
    }

    fn log(&self, _level: LogLevel, _message: &[u8]) {}

    fn log_level(&self) -> LogLevel {
        LogLevel::Critical
    }
}

impl Services for Nothing {
    fn http_request(&self, _request: HttpRequest) -> impl Future<Output = HttpResult> + 'static {
        ready(Err("not available".into()))
    }
}
