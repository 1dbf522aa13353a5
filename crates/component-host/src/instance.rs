//! An instance, and its way through a request.

use std::rc::Rc;
use std::sync::Arc;

use wasmtime::{Result, Store};

use crate::answer::Answer;
use crate::background::Spawner;
use crate::body::Body;
use crate::call::{Call, Work};
use crate::failure::Failure;
use crate::handler::Handler;
use crate::platform::Platform;
use crate::state::State;
use crate::{messages, p2, p3};
use wasm_runtime::Meter;

/// An instance that has served requests and can serve another.
pub struct Instance {
    pub(crate) store: Store<State>,
    pub(crate) export: Export,
    pub(crate) handler: Handler,
    /// Requests that it has served.
    pub(crate) served: u32,
}

/// What handles requests, in an instance.
#[derive(Clone)]
pub(crate) enum Export {
    P2(p2::Handle),
    P3(p3::Handle),
    Messages(messages::Handle),
}

impl Instance {
    /// Handles another request, as [`Handler::handle`] does.
    pub fn handle(
        self,
        request: http::Request<Body>,
        platform: Rc<dyn Platform>,
    ) -> (Call, Answer) {
        let handler = self.handler.clone();
        Call::of_request(handler, Some(self), request, platform)
    }

    /// Takes another message, as [`Handler::take_message`] does.
    pub fn take_message(self, message: Vec<u8>, platform: Rc<dyn Platform>) -> Call {
        let handler = self.handler.clone();
        Call::new(handler, Some(self), Work::Message(message), platform)
    }

    /// Makes an instance.
    pub(crate) async fn new(
        handler: &Handler,
        platform: Rc<dyn Platform>,
        meter: Arc<Meter>,
        spawner: Spawner,
    ) -> Result<Instance, Failure> {
        let mut store = handler.store(platform, meter, spawner);
        match handler.instantiate(&mut store).await {
            Ok(export) => Ok(Instance {
                store,
                export,
                handler: handler.clone(),
                served: 0,
            }),
            Err(error) => {
                let state = store.data_mut();
                let failure = Failure::of(&error, state);
                state.end();
                Err(failure)
            }
        }
    }

    /// Makes it ready for another request.
    pub(crate) fn renew(&mut self, platform: Rc<dyn Platform>, meter: Arc<Meter>) {
        let state = self.store.data_mut();
        state.set_platform(platform);
        state.meter = meter;
        self.store.set_epoch_deadline(1);
    }

    /// Does this work. The result within is what the guest says of it; for a request, it says so to the request's slot.
    pub(crate) async fn run(&mut self, work: Work) -> Result<std::result::Result<(), Failure>> {
        let store = &mut self.store;
        match (self.export.clone(), work) {
            (Export::P2(handle), Work::Request(request, slot)) => {
                p2::run(store, handle, request, &slot).await?;
                Ok(slot.outcome())
            }
            (Export::P3(handle), Work::Request(request, slot)) => {
                p3::run(store, handle, request, &slot).await?;
                Ok(slot.outcome())
            }
            (Export::Messages(handle), Work::Message(message)) => {
                messages::run(store, handle, message).await
            }
            _ => Err(wasmtime::format_err!(
                "the handler is for work of another kind"
            )),
        }
    }
}
