//! The root contexts and their callbacks.

use std::rc::Rc;

use super::instance::Vm;
use crate::callbacks::{CONFIGURE, TICK, VM_START};
use crate::config::PluginConfig;
use crate::context::{Context, ContextKind};
use crate::error::{CallError, StartError};
use crate::ids::ContextId;
use crate::traits::Proxy;

impl<P: Proxy> Vm<P> {
    /// Makes a root context: `proxy_on_context_create`, `proxy_on_vm_start`, `proxy_on_configure`.
    ///
    /// The context is gone again when the guest refuses or traps.
    pub fn create_root(&mut self, config: PluginConfig) -> Result<ContextId, StartError> {
        self.guest.check()?;
        let configuration_len = config.configuration.len() as u32;
        let context = Context::root(Rc::new(config));
        let id = self.state().add_context(context);
        self.state().guard.set_starting(true);
        let result = self.configure_root(id, configuration_len);
        self.state().guard.set_starting(false);
        if result.is_err() {
            self.state().remove_context(id);
        }
        result.map(|()| id)
    }

    fn configure_root(&mut self, id: ContextId, configuration_len: u32) -> Result<(), StartError> {
        self.call_create(id, 0)?;

        let arguments = (id.get(), self.state().config.configuration.len() as u32);
        self.state().in_vm_start = true;
        let answer = self.call(id, VM_START, arguments);
        self.state().in_vm_start = false;
        refused(answer?, VM_START.name)?;

        let arguments = (id.get(), configuration_len);
        let answer = self.call(id, CONFIGURE, arguments)?;
        refused(answer, CONFIGURE.name)
    }

    /// `proxy_on_tick` of a root context, also while it waits for `proxy_done`.
    pub fn on_tick(&mut self, root: ContextId) -> Result<(), CallError> {
        self.is_root(root)?;
        self.call(root, TICK, root.get())?;
        Ok(())
    }

    /// Ends all root contexts: `proxy_on_done`, `proxy_on_delete`. Streams that are still there
    /// end before them, without `proxy_on_log`. Errors are logged.
    ///
    /// A root context whose `proxy_on_done` returned false stays until `proxy_done`.
    pub fn shutdown(&mut self) {
        for kind in [ContextKind::Stream, ContextKind::Root] {
            for id in self.state().contexts.ids(kind) {
                if let Err(error) = self.finish(id, false) {
                    self.proxy().callback_failed(&error);
                }
            }
        }
    }

    /// Is this a root context that is there?
    pub(super) fn is_root(&self, id: ContextId) -> Result<(), CallError> {
        self.guest.check()?;
        match self.guest.store.data().contexts.get(id) {
            Some(context) if context.kind == ContextKind::Root => Ok(()),
            _ => Err(CallError::UnknownContext),
        }
    }
}

/// A missing callback refuses nothing.
fn refused(answer: Option<u32>, callback: &'static str) -> Result<(), StartError> {
    match answer {
        Some(0) => Err(StartError::Refused { callback }),
        _ => Ok(()),
    }
}
