//! A request that waits for an instance.

use crate::filter::chain::guest::Failure;
use crate::filter::chain::stage::Direction;
use crate::filter::http_wasm::instances::NoInstance;
use crate::filter::http_wasm::maker::Instance;
use crate::filter::http_wasm::middleware::{Middleware, Stage};
use crate::net::executor::spawn;

impl Middleware {
    /// An instance. `None`: the request waits for one.
    pub fn take(&self) -> Result<Option<Instance>, Failure> {
        match self.module.instances.take() {
            Some(taken) => taken.map(Some).map_err(without),
            None => {
                self.stage.set(Stage::AwaitsInstance);
                let (module, this) = (self.module.clone(), self.this.clone());
                let wait = async move {
                    let taken = module.instances.wait().await;
                    match (this.upgrade(), taken) {
                        (Some(this), taken) => this.goes_on(taken),
                        (None, Ok(instance)) => module.instances.give_back(instance),
                        (None, Err(_)) => {}
                    }
                };
                self.line.replace(Some(spawn(wait)));
                Ok(None)
            }
        }
    }

    /// The request has waited for an instance.
    fn goes_on(&self, taken: Result<Instance, NoInstance>) {
        self.leave_line();
        let context = self.context.upgrade();
        let context = context.filter(|context| context.active().is_some());
        let Some(context) = context.filter(|_| self.stage.get() == Stage::AwaitsInstance) else {
            if let Ok(instance) = taken {
                self.module.instances.give_back(instance);
            }
            return;
        };
        let served = match taken {
            // There is no body that would be replaced, or it is here.
            Ok(instance) => {
                let turn = &self.module.turn;
                turn.run(true, || self.serve(instance, false))
            }
            Err(reason) => Err(without(reason)),
        };
        match served {
            Ok(_) => {
                let half = context.filters()[self.index].half(Direction::Request);
                half.resume.set(true);
            }
            Err(failure) => context.filter_failed(self.index, &failure),
        }
        context.wake.post(&context);
    }

    /// Gives up the place in line, from within the task, too.
    pub fn leave_line(&self) {
        let task = self.line.take();
        drop(task);
    }
}

fn without(reason: NoInstance) -> Failure {
    match reason {
        NoInstance::Full => Failure::NoInstance,
        NoInstance::NotStarted => Failure::NotStarted,
    }
}
