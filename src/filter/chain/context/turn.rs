//! Bodies and what their filters' modules may take of one turn of nginx's event loop.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::filter::chain::context::Context;
use crate::filter::chain::stage::Direction;
use crate::net::executor::{Task, spawn};
use crate::net::turn::{Turn, is_pressed};

/// What waits until the modules have time again.
#[derive(Default)]
pub struct Later {
    /// Waits, then has the request go on.
    task: RefCell<Option<Task>>,
    /// It has waited.
    has_waited: Cell<bool>,
    /// So has the piece that passes the filters now.
    waited: Cell<bool>,
}

impl Later {
    /// Does a body wait?
    pub fn is_set(&self) -> bool {
        self.has_waited.get() || self.task.borrow().is_some()
    }

    /// The contexts end.
    pub fn cancel(&self) {
        let task = self.task.take();
        drop(task);
    }

    /// Has the piece of a body that passes the filters now waited for its turn?
    pub fn waited(&self) -> bool {
        self.waited.get()
    }
}

impl Context {
    /// May a piece of a body pass the filters in this turn of the event loop? If not, the request goes on
    /// by itself in a later one; what there is of the body stays where it is.
    #[inline(always)]
    pub fn has_time(self: &Rc<Self>, direction: Direction) -> bool {
        let waited = self.later.has_waited.replace(false);
        self.later.waited.set(waited);
        !is_pressed() || self.is_in_time(direction, waited)
    }

    /// `waited`: it has waited for its turn.
    #[cold]
    fn is_in_time(self: &Rc<Self>, direction: Direction, waited: bool) -> bool {
        for (filter, callbacks) in self.filters().iter().zip(&self.chain.callbacks) {
            let wanted = direction.body_callback(*callbacks);
            let Some((guest, _)) = filter.instance().filter(|_| wanted) else {
                continue;
            };
            let free = match waited {
                true => !guest.turn().is_over(),
                false => guest.turn().is_free(),
            };
            if !free {
                self.wait_for(guest.turn());
                return false;
            }
        }
        true
    }

    #[cold]
    fn wait_for(self: &Rc<Self>, turn: &Rc<Turn>) {
        if self.later.task.borrow().is_some() {
            return;
        }
        let (context, turn) = (Rc::downgrade(self), turn.clone());
        let task = spawn(async move {
            turn.wait().await;
            if let Some(context) = context.upgrade() {
                context.later.has_waited.set(true);
                context.later.cancel();
                context.wake.post(&context);
            }
        });
        self.later.task.replace(Some(task));
    }
}
