//! The instances of a plugin in a worker: one runs one call at a time.

use std::cell::OnceCell;
use std::rc::Rc;

use crate::handler::linked::{Linked, Snapshot, StartError};
use crate::handler::plugin::Plugin;
use crate::handler::services::{Calling, PluginServices};
use crate::worker::instances::{self, Source};

pub type Instances = instances::Instances<Maker>;
pub type NoInstance = instances::NoInstance<StartError>;

/// Makes instances.
pub struct Maker {
    pub linked: Linked,
    pub calling: Rc<Calling>,
    /// Each call has the state after the start (`isolation=request`).
    fresh: bool,
    /// That state, from the first one on.
    state: OnceCell<Snapshot>,
}

impl Maker {
    pub fn new(linked: Linked, calling: Rc<Calling>, fresh: bool) -> Maker {
        Maker {
            linked,
            calling,
            fresh,
            state: OnceCell::new(),
        }
    }

    /// What an instance is offered.
    pub fn services(&self) -> PluginServices {
        PluginServices::new(self.calling.clone())
    }

    /// The state after the start.
    fn state(&self) -> Result<&Snapshot, StartError> {
        if let Some(state) = self.state.get() {
            return Ok(state);
        }
        let state = self.linked.snapshot(self.services())?;
        Ok(self.state.get_or_init(|| state))
    }
}

impl Source for Maker {
    type Instance = Plugin;
    type Error = StartError;

    fn make(&self) -> Result<Plugin, StartError> {
        let services = self.services();
        match self.fresh {
            false => self.linked.plugin(services),
            true => self.state()?.plugin(services),
        }
    }

    fn renew(&self, instance: &mut Plugin) -> bool {
        !instance.poisoned()
            && match (self.fresh, self.state.get()) {
                (true, Some(state)) => state.rewind(instance, self.services()),
                (true, None) => false,
                (false, _) => true,
            }
    }
}
