//! A compiled and checked plugin.

use std::io;
use std::path::Path;
use std::sync::Arc;

use guest_host::Capability;
use wasm_runtime::{Artifact, Engine, Initial, Outline, sha256};

use crate::error::{Failure, LoadError};
use crate::exports::{self, Exports, Function};
use crate::functions::http::WAITS;
use crate::imports::{ENV, MAIN, Offer, Origin};
use crate::kernel::layout;
use crate::manifest::{Manifest, Module, Source};
use crate::settings::{PluginConfig, Rules};

/// A compiled and checked plugin, independent of any process: compiled in one, it runs in those forked from it as well.
/// Clone = refcount.
#[derive(Clone)]
pub struct Program {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub kernel: Artifact,
    /// In the order in which they are started; the main one is the last.
    pub modules: Vec<Part>,
    pub exports: Exports,
    pub rules: Rules,
    pub waits: bool,
    /// Instances can be started from snapshots.
    pub snapshots: bool,
}

/// A module of a plugin.
pub(crate) struct Part {
    pub artifact: Artifact,
    /// There where instances can be started from snapshots.
    pub initial: Option<Initial>,
    /// In its imports' order; places are those of [`Inner::modules`].
    pub origins: Vec<Origin>,
    /// What is called first.
    pub initializers: Vec<&'static str>,
}

/// The same before the modules are in order.
struct Compiled {
    name: String,
    artifact: Artifact,
    initial: Option<Initial>,
    outline: Outline,
}

/// Does a module with these imports look like an Extism plugin?
pub fn is_extism(outline: &Outline) -> bool {
    outline.imports.iter().any(|import| import.module == ENV)
}

impl Program {
    /// Compiles a plugin's modules and checks that they can run here: WebAssembly features, every import, and the types of what
    /// is called. Bytes that some live program was compiled from are not compiled again.
    ///
    /// `snapshots`: instances are to be started from [snapshots](crate::Snapshot); modules that change their tables are refused
    /// then, and those that share more than functions. `read` reads the file of a [`Source::Path`].
    pub fn compile(
        engine: &Engine,
        manifest: &Manifest,
        snapshots: bool,
        mut read: impl FnMut(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Program, LoadError> {
        if !manifest.allowed_paths.is_empty() {
            return Err(LoadError::AllowedPaths);
        }
        let modules = manifest.modules();
        let in_module = |name: &str, error| match modules.len() {
            1 => error,
            _ => LoadError::Module {
                name: name.to_owned(),
                error: Box::new(error),
            },
        };
        let mut compiled = Vec::new();
        for module in modules {
            let result = compile(engine, module, snapshots, &mut read);
            compiled.push(result.map_err(|error| in_module(&module.name, error))?);
        }
        let outlines: Vec<(&str, &Outline)> = compiled
            .iter()
            .map(|m| (m.name.as_str(), &m.outline))
            .collect();
        let (kernel, outline) = compile_kernel(engine)?;
        let mut offer = Offer::new(engine, outline)?;
        let mut origins = Vec::new();
        for (name, outline) in &outlines {
            let found = offer.origins(outline, &outlines);
            origins.push(found.map_err(|error| in_module(name, error))?);
        }
        let order = order(&outlines, &origins)?;
        let waits = outlines.iter().any(|(_, outline)| waits(outline));
        let mut exports = None;
        let mut parts = Vec::new();
        for index in &order {
            let module = &compiled[*index];
            let is_main = module.name == MAIN;
            let initializers = exports::initializers(&module.outline)
                .map_err(|error| in_module(&module.name, error.into()))?;
            if is_main {
                exports = Some(Exports::of(&module.outline));
            }
            parts.push(Part {
                artifact: module.artifact.clone(),
                initial: module.initial.clone(),
                origins: origins[*index].iter().map(|o| placed(o, &order)).collect(),
                // Of others than the main module, it is all that the Rust host calls.
                initializers: initializers
                    .into_iter()
                    .filter(|name| is_main || *name == "_initialize")
                    .collect(),
            });
        }
        let exports = exports.filter(|exports| !exports.callable().is_empty());
        Ok(Program {
            inner: Arc::new(Inner {
                kernel,
                modules: parts,
                exports: exports.ok_or(LoadError::NoFunction)?,
                rules: Rules::new(manifest),
                waits,
                snapshots,
            }),
        })
    }

    /// A function by its name.
    pub fn function(&self, name: &str) -> Result<Function, Failure> {
        self.inner.exports.find(name)
    }

    /// The function to be called where none is named: there is just one.
    pub fn only_function(&self) -> Option<Function> {
        self.inner.exports.only()
    }

    /// The names of all functions.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        let callable = self.inner.exports.callable().iter();
        callable.map(|callable| callable.name.as_str())
    }

    /// Can a call wait? Then [`Plugin::call`](crate::Plugin::call) is to be used.
    pub fn waits(&self) -> bool {
        self.inner.waits
    }

    /// Can an instance with this configuration make outbound calls? PDKs import what they could use, whether or not the guest
    /// does.
    pub fn calls_out(&self, config: &PluginConfig) -> bool {
        self.inner.waits
            && !self.inner.rules.allowed_hosts.is_empty()
            && config.capabilities.allows(Capability::HttpCall)
    }

    /// SHA-256 that the main module's code is kept under: of its bytes, unless instances start from snapshots.
    pub fn sha256(&self) -> Option<&[u8; 32]> {
        self.inner.modules.last().map(|main| main.artifact.sha256())
    }
}

fn compile(
    engine: &Engine,
    module: &Module,
    snapshots: bool,
    read: &mut impl FnMut(&Path) -> io::Result<Vec<u8>>,
) -> Result<Compiled, LoadError> {
    let read = match &module.source {
        Source::Data(_) => None,
        Source::Path(path) => Some(read(path).map_err(|error| LoadError::Read {
            path: path.clone(),
            error,
        })?),
    };
    let bytes = match (&module.source, &read) {
        (Source::Data(bytes), _) | (_, Some(bytes)) => bytes,
        (Source::Path(_), None) => &Vec::new(),
    };
    if let Some(expected) = &module.hash {
        check_hash(bytes, expected)?;
    }
    let check = |outline: &Outline| Ok::<_, LoadError>(outline.clone());
    let (artifact, initial, outline) = match snapshots {
        true => {
            let (artifact, initial, outline) = engine.compile_for_snapshots_if(bytes, check)?;
            (artifact, Some(initial), outline)
        }
        false => {
            let (artifact, outline) = engine.compile_if(bytes, check)?;
            (artifact, None, outline)
        }
    };
    Ok(Compiled {
        name: module.name.clone(),
        artifact,
        initial,
        outline,
    })
}

/// The kernel, with what it exports; compiled once.
fn compile_kernel(engine: &Engine) -> Result<(Artifact, Outline), LoadError> {
    let outline = |outline: &Outline| Ok(outline.clone());
    engine.compile_if(layout::MODULE.as_bytes(), outline)
}

fn check_hash(bytes: &[u8], expected: &str) -> Result<(), LoadError> {
    let found: String = sha256(bytes).iter().map(|b| format!("{b:02x}")).collect();
    match found == expected {
        true => Ok(()),
        false => Err(LoadError::HashMismatch {
            found,
            expected: expected.to_owned(),
        }),
    }
}

fn waits(outline: &Outline) -> bool {
    let mut imports = outline.imports.iter();
    imports.any(|import| import.module == ENV && import.name == WAITS)
}

/// The order in which modules are started: each behind those that it imports, the main one last.
fn order(outlines: &[(&str, &Outline)], origins: &[Vec<Origin>]) -> Result<Vec<usize>, LoadError> {
    let mut order: Vec<usize> = Vec::new();
    let mut rest: Vec<usize> = (0..outlines.len()).collect();
    while !rest.is_empty() {
        let ready = |module: &usize| {
            let is_main = outlines[*module].0 == MAIN;
            (!is_main || rest.len() == 1)
                && origins[*module].iter().all(|origin| match origin {
                    Origin::Module(needed) => order.contains(needed),
                    _ => true,
                })
        };
        match rest.iter().position(ready) {
            Some(at) => order.push(rest.remove(at)),
            None => {
                let names: Vec<_> = rest.iter().map(|module| outlines[*module].0).collect();
                return Err(LoadError::Circle(names.join(", ")));
            }
        }
    }
    Ok(order)
}

/// An origin by the place in the order.
fn placed(origin: &Origin, order: &[usize]) -> Origin {
    match origin {
        Origin::Module(index) => {
            let place = order.iter().position(|other| other == index);
            place.map_or(Origin::Host, Origin::Module)
        }
        other => other.clone(),
    }
}
