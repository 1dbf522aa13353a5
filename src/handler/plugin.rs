//! An instance of either kind of plugins, and its calls.

use std::borrow::Cow;
use std::rc::Rc;

use extism_host::Outcome;
use wapc_host::CallError;

use crate::handler::input::Input;
use crate::handler::linked::StartError;
use crate::handler::services::{Exchange, PluginServices};

/// An instance. Calls move it about, so it is in a box of its own.
pub enum Plugin {
    Extism(Box<extism_host::Plugin<PluginServices>>),
    Wapc(Box<wapc_host::Plugin<PluginServices>>),
}

/// What is called in it; of the plugin's own kind.
#[derive(Clone, Copy)]
pub enum Function<'a> {
    /// An export of an Extism plugin's.
    Export(extism_host::Function),
    /// What a waPC guest is asked for; the guest knows what there is.
    Operation(&'a [u8]),
}

/// Why a call has no output.
pub struct Failure {
    /// For the log, and for clients that may see it. The guest's own text may have several lines.
    pub message: String,
    /// Why the guest has trapped, if it has.
    pub trap: Option<String>,
}

impl Failure {
    pub fn new(message: String) -> Failure {
        Failure {
            message,
            trap: None,
        }
    }
}

impl Plugin {
    /// A call begins, for this request, or has ended.
    pub fn serve(&mut self, exchange: Option<Rc<Exchange>>) {
        match self {
            Plugin::Extism(plugin) => plugin.services().serve(exchange),
            Plugin::Wapc(plugin) => plugin.services().serve(exchange),
        }
    }

    /// Starts it if it is new, and does not wait.
    pub fn start_now(&mut self) -> Result<(), StartError> {
        match self {
            Plugin::Extism(plugin) => Ok(plugin.start_now()?),
            Plugin::Wapc(_) => Ok(()),
        }
    }

    /// The same where it may wait.
    pub async fn start(&mut self) -> Result<(), StartError> {
        match self {
            Plugin::Extism(plugin) => Ok(plugin.start().await?),
            Plugin::Wapc(_) => Ok(()),
        }
    }

    /// Bytes of its memories.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Plugin::Extism(plugin) => plugin.memory_bytes(),
            Plugin::Wapc(plugin) => plugin.memory_bytes(),
        }
    }

    /// Gives back what the last call has used for its output, where that is much. An Extism plugin has done so.
    pub fn trim(&mut self) {
        if let Plugin::Wapc(plugin) = self {
            plugin.trim();
        }
    }

    /// Is it to be dropped?
    pub fn poisoned(&self) -> bool {
        match self {
            Plugin::Extism(plugin) => plugin.poisoned(),
            Plugin::Wapc(plugin) => plugin.poisoned(),
        }
    }

    /// Makes a call that does not wait. The output lies with the instance, so `then` is called for it.
    pub fn call_now<R>(
        &mut self,
        function: Function<'_>,
        input: Input,
        then: impl FnOnce(Result<&[u8], Failure>) -> R,
    ) -> R {
        match (self, function) {
            (Plugin::Extism(plugin), Function::Export(function)) => {
                then(output(&mut plugin.call_now(function, &input)))
            }
            (Plugin::Wapc(plugin), Function::Operation(operation)) => {
                then(ask(plugin, operation, input))
            }
            _ => then(Err(other_kind())),
        }
    }

    /// The same for a call that may wait. A waPC guest never does.
    pub async fn call<R>(
        &mut self,
        function: Function<'_>,
        input: Input,
        then: impl FnOnce(Result<&[u8], Failure>) -> R,
    ) -> R {
        match (self, function) {
            (Plugin::Extism(plugin), Function::Export(function)) => {
                then(output(&mut plugin.call(function, &input).await))
            }
            (Plugin::Wapc(plugin), Function::Operation(operation)) => {
                then(ask(plugin, operation, input))
            }
            _ => then(Err(other_kind())),
        }
    }
}

/// What a call of an Extism plugin's has come to.
fn output<'a>(outcome: &'a mut Outcome<'_, PluginServices>) -> Result<&'a [u8], Failure> {
    if !outcome.failed() {
        return Ok(outcome.output());
    }
    let Some(failure) = outcome.failure() else {
        let code = outcome.code();
        return Err(Failure::new(format!("Returned non-zero exit code: {code}")));
    };
    Err(Failure {
        message: failure.to_string(),
        trap: failure.trap().map(Cow::into_owned),
    })
}

/// Calls a waPC guest.
fn ask<'a>(
    plugin: &'a mut wapc_host::Plugin<PluginServices>,
    operation: &[u8],
    input: Input,
) -> Result<&'a [u8], Failure> {
    plugin.call(operation, input).map_err(|error| {
        let message = error.to_string();
        match error {
            // As the guest has it: displayed, it would be one line.
            CallError::Guest(text) => Failure::new(text),
            CallError::Trap(reason) => Failure {
                message,
                trap: Some(reason),
            },
            _ => Failure::new(message),
        }
    })
}

/// The configuration names functions of the plugin's own kind, so this is not to be seen.
#[cold]
fn other_kind() -> Failure {
    Failure::new("the function is one of another kind of plugins".into())
}
