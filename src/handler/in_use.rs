//! An instance that a call has.

use std::rc::Rc;

use crate::handler::handlers::Handler;
use crate::handler::instance::Instance;

/// An instance that a call has; it goes with the call, if that does not come to its end.
pub struct InUse {
    handler: Rc<Handler>,
    instance: Option<Instance>,
}

impl InUse {
    pub fn new(handler: Rc<Handler>, instance: Instance) -> InUse {
        InUse {
            handler,
            instance: Some(instance),
        }
    }

    /// It is there until it is given back.
    pub fn instance(&mut self) -> Option<&mut Instance> {
        self.instance.as_mut()
    }

    /// The call has come to its end.
    pub fn give_back(mut self) {
        if let Some(instance) = self.instance.take() {
            self.handler.instances.give_back(instance);
        }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take() {
            drop(instance);
            self.handler.instances.lost();
        }
    }
}
