//! A component as it is used in one place: with its imports resolved, and its settings.

use std::rc::Rc;
use std::sync::Arc;

use wasm_runtime::{ComponentEngine, Meter};
use wasmtime::component::{ComponentExportIndex, InstancePre};
use wasmtime::{Result, Store, StoreContextMut, UpdateDeadline, bail};

use crate::answer::Answer;
use crate::background::Spawner;
use crate::body::Body;
use crate::call::{Call, Work};
use crate::instance::Export;
use crate::platform::Platform;
use crate::settings::Settings;
use crate::state::State;
use crate::{messages, p3};

/// Most bytes that a guest can hand over in one call.
const MOST_AT_ONCE: usize = 16 << 20;

/// A component as it is used in one place. Clone = refcount.
#[derive(Clone)]
pub struct Handler(Arc<Inner>);

struct Inner {
    engine: ComponentEngine,
    linked: Linked,
    settings: Arc<Settings>,
}

/// A component with its imports resolved, and its export looked up.
#[derive(Clone)]
pub(crate) enum Linked {
    P2 {
        pre: InstancePre<State>,
        handle: ComponentExportIndex,
    },
    P3(p3::Linked),
    Messages(messages::Linked),
}

/// A guest has run into a tick: has it time left, and is what the host holds for it within bounds?
fn tick(mut store: StoreContextMut<'_, State>) -> Result<UpdateDeadline> {
    let held = store.concurrent_state_table_size();
    let state = store.data_mut();
    let bound = state.most_resources();
    if held > bound {
        bail!("more than {bound} streams, futures and tasks");
    }
    state.meter.tick()
}

impl Handler {
    pub(crate) fn new(engine: ComponentEngine, linked: Linked, settings: Settings) -> Handler {
        Handler(Arc::new(Inner {
            engine,
            linked,
            settings: Arc::new(settings),
        }))
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Handles a request in an instance of its own.
    pub fn handle(
        &self,
        request: http::Request<Body>,
        platform: Rc<dyn Platform>,
    ) -> (Call, Answer) {
        Call::of_request(self.clone(), None, request, platform)
    }

    /// Has an instance of its own take a message, where this is a handler of messages.
    pub fn take_message(&self, message: Vec<u8>, platform: Rc<dyn Platform>) -> Call {
        Call::new(self.clone(), None, Work::Message(message), platform)
    }

    /// What holds a request to its processor time.
    pub(crate) fn meter(&self) -> Meter {
        self.0.engine.meter(self.settings().limits.cpu_time)
    }

    pub(crate) fn store(
        &self,
        platform: Rc<dyn Platform>,
        meter: Arc<Meter>,
        spawner: Spawner,
    ) -> Store<State> {
        let Inner {
            engine, settings, ..
        } = &*self.0;
        let guard = engine.guard(settings.limits);
        let state = State::new(settings.clone(), platform, guard, meter, spawner);
        let mut store = Store::new(engine.wasmtime(), state);
        store.limiter(|state| &mut state.guard);
        store.set_max_component_handles(settings.resources);
        store.set_hostcall_fuel(MOST_AT_ONCE);
        store.epoch_deadline_callback(tick);
        // The next tick is the first that is looked at.
        store.set_epoch_deadline(1);
        store
    }

    pub(crate) async fn instantiate(&self, store: &mut Store<State>) -> Result<Export> {
        match &self.0.linked {
            Linked::P2 { pre, handle } => {
                let instance = pre.instantiate_async(&mut *store).await?;
                Ok(Export::P2(instance.get_typed_func(store, handle)?))
            }
            Linked::P3(linked) => Ok(Export::P3(linked.instantiate(store).await?)),
            Linked::Messages(linked) => Ok(Export::Messages(linked.instantiate(store).await?)),
        }
    }
}
