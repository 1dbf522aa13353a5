//! A component as the process that reads the configuration knows it.

use std::fmt;

use wasm_runtime::{Artifact, ComponentOutline, Engine, Error, is_component, one_line};

use crate::interfaces::{self, HANDLER_P2, HANDLER_P3, MESSAGES_ASYNC, MESSAGES_BLOCKING, Name};
use crate::spin::define::Calls;
use crate::{linker, messages};

/// A compiled component that handles requests or messages, of no process in particular. Clone = refcount.
#[derive(Clone)]
pub struct Program {
    artifact: Artifact,
    handles: Handles,
    outline: ComponentOutline,
}

/// What a component handles; at least one of them is there.
#[derive(Clone, Copy)]
struct Handles {
    requests: Option<Version>,
    messages: Option<Calls>,
}

impl Handles {
    fn entries(self) -> impl Iterator<Item = Entry> {
        let requests = self.requests.map(Entry::Requests);
        requests
            .into_iter()
            .chain(self.messages.map(Entry::Messages))
    }
}

/// Where a component is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Entry {
    Requests(Version),
    Messages(Calls),
}

/// Which wasi:http a component handles requests by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// `wasi:http/incoming-handler@0.2`
    P2,
    /// `wasi:http/handler@0.3`
    P3,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::P2 => "wasi:http 0.2",
            Version::P3 => "wasi:http 0.3",
        })
    }
}

/// Why bytes are no component that can handle requests. Each displays as one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Runtime(#[from] Error),
    /// What an old SDK leaves: a module that is made a component of by a tool.
    #[error(
        "a WebAssembly module that is to be made a component: \"wasm-tools component new\" does it, with the adapter \
         \"wasi_snapshot_preview1.reactor.wasm\" for one that was built for wasm32-wasip1"
    )]
    Module,
    #[error(
        "the component exports no handler: {HANDLER_P2} or {HANDLER_P3} for requests, {MESSAGES_ASYNC} or {MESSAGES_BLOCKING} for \
         messages of Redis{}", exports(.0)
    )]
    NoHandler(Vec<String>),
    /// It hands requests on to the next handler.
    #[error(
        "the component imports \"{0}\", the next handler: components of the world \"middleware\" are not supported"
    )]
    Middleware(String),
    #[error("the component imports \"{import}\", {}", there_is(.versions))]
    Import {
        import: String,
        versions: Vec<&'static str>,
    },
    /// The component asks for more of an interface than there is, or for other types.
    #[error("the component's imports do not fit: {0}")]
    Types(String),
}

fn exports(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!(" (it exports {})", names.join(", ")),
    }
}

fn there_is(versions: &[&str]) -> String {
    match versions {
        [] => "which is not offered".to_owned(),
        versions => format!("of which there is version {}", versions.join(" and ")),
    }
}

impl Program {
    /// Compiles a component of the binary or text format, or finds it compiled.
    pub fn compile(engine: &Engine, bytes: &[u8]) -> Result<Program, LoadError> {
        if is_to_be_component(bytes) {
            return Err(LoadError::Module);
        }
        let (artifact, (handles, outline)) = engine.compile_component_if(bytes, |outline| {
            let handles = inspect(outline)?;
            Ok::<_, LoadError>((handles, outline.clone()))
        })?;
        let program = Program {
            artifact,
            handles,
            outline,
        };
        program.check_types(engine)?;
        Ok(program)
    }

    /// Are these the bytes of a component, rather than of a module?
    pub fn is_component(bytes: &[u8]) -> bool {
        is_component(bytes)
    }

    /// By which wasi:http it handles requests; `None`: it handles none.
    pub fn version(&self) -> Option<Version> {
        self.handles.requests
    }

    /// Does it take messages of a Redis channel?
    pub fn takes_messages(&self) -> bool {
        self.handles.messages.is_some()
    }

    pub(crate) fn messages(&self) -> Option<Calls> {
        self.handles.messages
    }

    /// SHA-256 of what it was compiled from, in a way.
    pub fn id(&self) -> &[u8; 32] {
        self.artifact.sha256()
    }

    /// The interfaces that it imports, with their versions.
    pub fn imports(&self) -> &[String] {
        &self.outline.imports
    }

    /// What it exports.
    pub fn exports(&self) -> &[String] {
        &self.outline.exports
    }

    pub(crate) fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// Do the types of its imports fit what there is?
    fn check_types(&self, engine: &Engine) -> Result<(), LoadError> {
        let types = |error: wasmtime::Error| LoadError::Types(one_line(&error));
        let component = engine.load_component(&self.artifact)?;
        let linker = linker::new(engine.wasmtime()).map_err(types)?;
        for entry in self.handles.entries() {
            linker::link(&linker, &component, entry).map_err(types)?;
        }
        Ok(())
    }
}

/// Which handlers it exports, if all that it imports is there.
fn inspect(outline: &ComponentOutline) -> Result<Handles, LoadError> {
    let exports = |handler: &str| {
        let handler = Name::parse(handler);
        let mut names = outline.exports.iter().map(|name| Name::parse(name));
        names.any(|name| name.fits(&handler))
    };
    let requests = match (exports(HANDLER_P3), exports(HANDLER_P2)) {
        (true, _) => Some(Version::P3),
        (false, true) => Some(Version::P2),
        (false, false) => None,
    };
    let both = [Calls::Async, Calls::Blocking];
    let messages = both
        .into_iter()
        .find(|calls| exports(messages::interface(*calls)));
    let handles = Handles { requests, messages };
    if handles.entries().next().is_none() {
        return Err(LoadError::NoHandler(outline.exports.clone()));
    }
    for import in &outline.imports {
        let name = Name::parse(import);
        if name.interface == Name::parse(HANDLER_P3).interface {
            return Err(LoadError::Middleware(import.clone()));
        }
        if !interfaces::is_offered(&name) && !interfaces::is_denied(&name) {
            return Err(LoadError::Import {
                import: import.clone(),
                versions: interfaces::versions(&name),
            });
        }
    }
    Ok(handles)
}

/// A module with what makes it a component in a section of its own, as SDKs left it before they built components.
fn is_to_be_component(bytes: &[u8]) -> bool {
    let section = b"component-type";
    !is_component(bytes)
        && bytes.starts_with(b"\0asm")
        && bytes.windows(section.len()).any(|window| window == section)
}
