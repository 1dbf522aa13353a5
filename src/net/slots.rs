//! How many of a worker's connections guests' calls may have (`wasm_call_connections`).
//!
//! Each module is sure of its part of one half of them, whatever others do; the other half is for who comes first. What is too
//! much waits in line. Idle connections that are kept for calls count, too, and make room when it is needed.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use ngx::ffi::ngx_cycle;

use crate::net::line::Line;

/// The connections of all modules' calls in a worker. Clone = refcount.
#[derive(Clone)]
pub struct Slots(Rc<All>);

#[derive(Default)]
struct All {
    /// As configured; `None`: half of `worker_connections`.
    most: Option<usize>,
    used: Cell<usize>,
    modules: RefCell<Vec<Weak<ModuleSlots>>>,
}

/// Those of one module.
pub struct ModuleSlots {
    all: Slots,
    used: Cell<usize>,
    line: Line,
}

/// A connection that a call may have, until this is dropped.
pub struct Slot(Rc<ModuleSlots>);

impl Slots {
    /// `most`: how many there may be; `None`: half of `worker_connections`.
    pub fn new(most: Option<usize>) -> Slots {
        Slots(Rc::new(All {
            most,
            ..All::default()
        }))
    }

    /// For one more module.
    pub fn module(&self) -> Rc<ModuleSlots> {
        let module = Rc::new(ModuleSlots {
            all: self.clone(),
            used: Cell::new(0),
            line: Line::default(),
        });
        self.0.modules.borrow_mut().push(Rc::downgrade(&module));
        module
    }

    /// Most connections.
    fn most(&self) -> usize {
        // SAFETY: nginx's own, which it writes in this thread only.
        let all = unsafe { (*ngx_cycle).connection_n };
        let most = self.0.most.unwrap_or(all / 2);
        most.min(all).max(1)
    }

    /// So many idle connections there may be beside those that are in use.
    fn room_for_idle(&self) -> usize {
        self.most().saturating_sub(self.0.used.get())
    }

    fn modules(&self) -> impl Iterator<Item = Rc<ModuleSlots>> {
        let modules = self.0.modules.borrow().clone();
        modules.into_iter().filter_map(|module| module.upgrade())
    }
}

impl ModuleSlots {
    /// May the module have one more?
    fn has_room(&self) -> bool {
        let most = self.all.most();
        let sure = (most / 2 / self.all.0.modules.borrow().len().max(1)).max(1);
        if self.used.get() < sure {
            return true;
        }
        // What others are sure of is not for this one, be it that they have no use for it now.
        let taken = self.all.modules().map(|module| match &*module {
            this if std::ptr::eq(this, self) => this.used.get(),
            other => other.used.get().max(sure),
        });
        taken.sum::<usize>() < most
    }

    /// Would a call have to wait?
    pub fn is_full(&self) -> bool {
        !self.has_room()
    }

    /// So many idle connections there may be beside those that are in use.
    pub fn room_for_idle(&self) -> usize {
        self.all.room_for_idle()
    }

    /// A connection, as soon as there is one.
    pub async fn take(self: &Rc<Self>) -> Slot {
        let take = || self.has_room().then(|| self.slot());
        self.line.wait(take).await
    }

    fn slot(self: &Rc<Self>) -> Slot {
        let all = &self.all.0;
        self.used.set(self.used.get() + 1);
        all.used.set(all.used.get() + 1);
        Slot(self.clone())
    }

    /// Has the first in line look for room, if there is any.
    fn wake(&self) {
        if !self.line.is_empty() && self.has_room() {
            self.line.wake();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let (module, all) = (&self.0, &self.0.all.0);
        module.used.set(module.used.get().saturating_sub(1));
        all.used.set(all.used.get().saturating_sub(1));
        module.wake();
        module.all.modules().for_each(|module| module.wake());
    }
}
