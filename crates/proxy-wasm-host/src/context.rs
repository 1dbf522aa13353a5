//! A context of a VM.

use std::rc::Rc;

use crate::config::PluginConfig;
use crate::ids::ContextId;

/// A root (plugin) context or a stream context.
pub(crate) struct Context<S> {
    /// Configuration of the root context, or of the stream's root context.
    pub plugin: Rc<PluginConfig>,
    /// Of a stream: its root context.
    pub root: Option<ContextId>,
    /// `None` in root contexts and once the stream is gone.
    pub stream: Option<S>,
    pub kind: ContextKind,
    pub phase: Phase,
}

impl<S> Context<S> {
    /// Is it of this kind, and has it not begun to end?
    pub fn is_live(&self, kind: ContextKind) -> bool {
        self.kind == kind && self.phase == Phase::Live
    }

    /// A new root context.
    pub fn root(plugin: Rc<PluginConfig>) -> Context<S> {
        Context {
            plugin,
            root: None,
            stream: None,
            kind: ContextKind::Root,
            phase: Phase::Live,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContextKind {
    Root,
    Stream,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Live,
    /// `proxy_on_done` returned false: waits for `proxy_done`, then `log` tells whether
    /// `proxy_on_log` is due.
    AwaitsDone {
        log: bool,
    },
    /// The guest called `proxy_done`: the rest follows when it has returned.
    Finishing {
        log: bool,
    },
}
