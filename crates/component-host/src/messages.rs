//! Messages of a Redis channel, each of which is a call of its own: `inbound-redis` of Spin.

use wasmtime::component::{
    Component, ComponentExportIndex, ComponentType, Instance, InstancePre, Lift, TypedFunc,
};
use wasmtime::{Result, Store};

use crate::failure::Failure;
use crate::interfaces::{MESSAGES_ASYNC, MESSAGES_BLOCKING};
use crate::p3::ended;
use crate::spin::define::Calls;
use crate::spin::redis::Error;
use crate::state::State;

/// The error of the older interface, which has a case for success as well.
// Guests make them.
#[allow(dead_code)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Plain {
    #[component(name = "success")]
    Success,
    #[component(name = "error")]
    Error,
}

type Outcome<E> = (std::result::Result<(), E>,);

/// A component with its imports resolved, and its function for messages looked up.
#[derive(Clone)]
pub(crate) struct Linked {
    pre: InstancePre<State>,
    handle: ComponentExportIndex,
    calls: Calls,
}

/// The function, in an instance.
#[derive(Clone)]
pub(crate) enum Handle {
    Blocking(TypedFunc<(Vec<u8>,), Outcome<Plain>>),
    Async(TypedFunc<(Vec<u8>,), Outcome<Error>>),
}

/// The interface of messages that is called so.
pub(crate) fn interface(calls: Calls) -> &'static str {
    match calls {
        Calls::Blocking => MESSAGES_BLOCKING,
        Calls::Async => MESSAGES_ASYNC,
    }
}

impl Linked {
    pub fn new(pre: InstancePre<State>, component: &Component, calls: Calls) -> Result<Linked> {
        let interface = interface(calls);
        let missing = || wasmtime::format_err!("no function handle-message in {interface}");
        let export = component.get_export_index(None, interface);
        let handle =
            component.get_export_index(Some(&export.ok_or_else(missing)?), "handle-message");
        Ok(Linked {
            pre,
            handle: handle.ok_or_else(missing)?,
            calls,
        })
    }

    pub async fn instantiate(&self, store: &mut Store<State>) -> Result<Handle> {
        let instance: Instance = self.pre.instantiate_async(&mut *store).await?;
        Ok(match self.calls {
            Calls::Blocking => Handle::Blocking(instance.get_typed_func(store, self.handle)?),
            Calls::Async => Handle::Async(instance.get_typed_func(store, self.handle)?),
        })
    }
}

/// Has the guest take a message, until all that it has started has ended. The result within says what the guest does.
pub(crate) async fn run(
    store: &mut Store<State>,
    handle: Handle,
    message: Vec<u8>,
) -> Result<std::result::Result<(), Failure>> {
    match handle {
        Handle::Blocking(function) => {
            let (outcome,) = function.call_async(store, (message,)).await?;
            Ok(match outcome {
                Ok(()) | Err(Plain::Success) => Ok(()),
                Err(Plain::Error) => Err(Failure::Message("error".to_owned())),
            })
        }
        Handle::Async(function) => {
            let called = store.run_concurrent(async move |accessor| {
                let (outcome,) = function.call_concurrent(accessor, (message,)).await?;
                ended(accessor, None).await?;
                wasmtime::error::Ok(outcome)
            });
            let outcome = called.await??;
            Ok(outcome.map_err(|error| Failure::Message(error.to_string())))
        }
    }
}
