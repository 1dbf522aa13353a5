//! One instance of a plugin.

mod call;
mod outcome;
mod snapshot;
mod start;

use std::rc::Rc;

use wasm_runtime::wasmtime::{Error, Instance, Result, Store, TypedFunc};
use wasm_runtime::{Guard, Rewind};

use crate::linked::Linked;
use crate::services::Services;
use crate::state::State;
use crate::wait::{Waiting, drive, now};
pub use call::Input;
pub use outcome::Outcome;
pub use snapshot::Snapshot;

/// One instance of a plugin. It runs one call at a time.
///
/// The guest runs only within these methods. After a trap, or when the future of a call was dropped, nothing more is called in
/// it: it is to be dropped.
pub struct Plugin<S: Services> {
    store: Store<State<S>>,
    linked: Linked<S>,
    phase: Phase,
    /// Of all modules, the main one last; empty before the start.
    instances: Vec<Instance>,
    /// The functions that have been called, in the program's order.
    functions: Vec<Option<Code>>,
    /// It was started from a snapshot, and can be taken back to it.
    rewinds: Vec<Rewind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Ready,
    /// A call or the start is under way, or has not come to an end that was meant.
    Poisoned,
}

/// A function of the guest's.
#[derive(Clone)]
enum Code {
    Code(TypedFunc<(), i32>),
    Nothing(TypedFunc<(), ()>),
}

impl<S: Services> Linked<S> {
    /// An instance, which is started by its first call, if not before.
    pub fn plugin(&self, services: S) -> Plugin<S> {
        Plugin::new(self.clone(), self.inner.store(services))
    }
}

impl<S: Services> Plugin<S> {
    fn new(linked: Linked<S>, store: Store<State<S>>) -> Plugin<S> {
        Plugin {
            store,
            phase: Phase::New,
            instances: Vec::new(),
            functions: vec![None; linked.inner.functions.len()],
            rewinds: Vec::new(),
            linked,
        }
    }

    /// Is it to be dropped? After a trap, a host function that ended the call, `proc_exit`, a call of `_start`, and a call
    /// whose future was dropped.
    pub fn poisoned(&self) -> bool {
        self.phase == Phase::Poisoned
    }

    /// Bytes of all its memories, the kernel's among them.
    pub fn memory_bytes(&self) -> usize {
        self.store.data().guard.memory()
    }

    /// What the guest sees of the embedder.
    pub fn services(&mut self) -> &mut S {
        &mut self.store.data_mut().services
    }

    /// The program with its configuration.
    pub fn linked(&self) -> &Linked<S> {
        &self.linked
    }

    fn waiting(&self) -> Rc<Waiting> {
        Rc::clone(&self.store.data().waiting)
    }

    /// Makes a call into the guest that is no function's, within its limits.
    async fn enter<R>(
        &mut self,
        call: impl AsyncFnOnce(&mut Store<State<S>>, bool) -> Result<R>,
    ) -> Result<R> {
        let result = match self.linked.inner.waits() {
            true => {
                let waiting = self.waiting();
                let entrance = Guard::enter(&mut self.store, State::guard);
                drive(&entrance, &waiting, call(&mut self.store, true)).await
            }
            false => Guard::call(&mut self.store, State::guard, |store| {
                now(call(store, false)).unwrap_or_else(|| Err(Error::msg("waits")))
            }),
        };
        self.end_call();
        result
    }

    /// Does what has to be done behind a call, if there is anything.
    #[inline]
    fn end_call(&mut self) {
        if self.store.data().guard.notes_end() {
            self.store.data_mut().end_call();
        }
    }

    /// Why a call failed, as one line.
    fn reason(&self, error: &Error) -> String {
        self.store.data().guard.reason(error)
    }
}
