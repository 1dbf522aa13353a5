//! What instances of either kind of plugins are made from: a module that is loaded and linked, or the state of another instance.

use std::rc::Rc;

use thiserror::Error;
use wasm_runtime::Engine;

use crate::conf::guest::Guest;
use crate::conf::main::ModuleConf;
use crate::handler::plugin::{Function, Plugin};
use crate::handler::services::PluginServices;

/// A module in the process that runs it.
pub enum Linked {
    Extism(extism_host::Linked<PluginServices>),
    Wapc {
        engine: Engine,
        program: wapc_host::Program,
        config: Rc<wapc_host::PluginConfig>,
    },
}

/// The state of an instance between two calls.
pub enum Snapshot {
    Extism(extism_host::Snapshot<PluginServices>),
    Wapc(wapc_host::Snapshot<PluginServices>),
}

/// Why an instance did not start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Extism(#[from] extism_host::StartError),
    #[error(transparent)]
    Wapc(#[from] wapc_host::StartError),
}

impl StartError {
    /// Why the guest has trapped, if it has.
    pub fn trap(&self) -> Option<&str> {
        match self {
            StartError::Extism(extism_host::StartError::Trap { reason, .. })
            | StartError::Wapc(wapc_host::StartError::Trap { reason, .. }) => Some(reason),
            _ => None,
        }
    }
}

impl Linked {
    /// The error is for the log.
    pub fn new(engine: &Engine, module: &ModuleConf) -> Result<Linked, String> {
        match &module.guest {
            Guest::Extism(program, options) => {
                let config = module.plugin_config(*options);
                let linked = extism_host::Linked::new(engine, program, &config);
                linked
                    .map(Linked::Extism)
                    .map_err(|error| error.to_string())
            }
            Guest::Wapc(program) => Ok(Linked::Wapc {
                engine: engine.clone(),
                program: program.clone(),
                config: Rc::new(module.wapc_config()),
            }),
            Guest::ProxyWasm(_) | Guest::HttpWasm(_) | Guest::Component(..) => {
                Err(format!("is {}", module.guest.kind()))
            }
        }
    }

    /// Can its calls wait?
    pub fn waits(&self) -> bool {
        match self {
            Linked::Extism(linked) => linked.program().waits(),
            Linked::Wapc { .. } => false,
        }
    }

    /// The function of a name that a client may have chosen. Those that start an Extism plugin have none for it. An error
    /// says that there is no such function.
    pub fn function<'a>(&self, name: &'a [u8]) -> Result<Function<'a>, String> {
        let Linked::Extism(linked) = self else {
            return Ok(Function::Operation(name));
        };
        let text = String::from_utf8_lossy(name);
        let found = match text.starts_with('_') {
            true => Err(extism_host::Failure::NotFound(text.to_string())),
            false => linked.program().function(&text),
        };
        found
            .map(Function::Export)
            .map_err(|error| error.to_string())
    }

    /// An instance. That of an Extism plugin is started by its first call, for its start may wait.
    pub fn plugin(&self, services: PluginServices) -> Result<Plugin, StartError> {
        match self {
            Linked::Extism(linked) => Ok(Plugin::Extism(Box::new(linked.plugin(services)))),
            Linked::Wapc {
                engine,
                program,
                config,
            } => {
                let plugin = wapc_host::Plugin::start(engine, program, services, config.clone())?;
                Ok(Plugin::Wapc(Box::new(plugin)))
            }
        }
    }

    /// The state of an instance of this, which has started.
    pub fn snapshot(&self, plugin: &mut Plugin) -> Result<Snapshot, StartError> {
        Ok(match (self, plugin) {
            (Linked::Wapc { engine, .. }, Plugin::Wapc(plugin)) => {
                Snapshot::Wapc(plugin.snapshot(engine)?)
            }
            (_, Plugin::Extism(plugin)) => Snapshot::Extism(plugin.snapshot()?),
            // An instance of another kind is none of this.
            (_, Plugin::Wapc(_)) => return Err(wapc_host::StartError::Poisoned.into()),
        })
    }
}

impl Snapshot {
    /// Makes an instance with this state. No code of the guest's runs.
    pub fn plugin(&self, services: PluginServices) -> Result<Plugin, StartError> {
        Ok(match self {
            Snapshot::Extism(state) => Plugin::Extism(Box::new(state.plugin(services)?)),
            Snapshot::Wapc(state) => Plugin::Wapc(Box::new(state.plugin(services)?)),
        })
    }

    /// Takes an instance that was made from this state back to it. `false`: it cannot be, and is to be dropped.
    pub fn rewind(&self, plugin: &mut Plugin, services: PluginServices) -> bool {
        match (self, plugin) {
            (Snapshot::Extism(state), Plugin::Extism(plugin)) => state.rewind(plugin, services),
            (Snapshot::Wapc(state), Plugin::Wapc(plugin)) => state.rewind(plugin, services),
            _ => false,
        }
    }
}
