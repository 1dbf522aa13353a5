//! A filter of the chain in one request.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use proxy_wasm_host::{ContextId, Status};
use smallvec::SmallVec;

use crate::filter::chain::guest::{Failure, Guest};
use crate::filter::chain::stage::Direction;
use crate::message::body::Body;
use crate::message::spool::Spool;

/// The filters of a request. Most chains have one.
pub type FilterList = SmallVec<[Filter; 1]>;

/// One filter of the chain in this request.
pub struct Filter {
    /// `None`: there was none to be had, and the request goes on without it.
    instance: Option<(Rc<dyn Guest>, ContextId)>,
    /// It has failed, and the request goes on without it.
    pub skipped: Cell<bool>,
    pub request: DirectionState,
    pub response: DirectionState,
    /// Made when it is first needed: most requests need none of it.
    aside: OnceCell<Box<Aside>>,
}

/// A piece of a body, and whether that ends the body.
pub type Slot = RefCell<Option<(Body, bool)>>;

/// Pieces that are on no filter's hands.
#[derive(Default)]
struct Aside {
    /// What has passed the filters before this one while its header callback, or one behind it,
    /// is still to be made.
    request: Slot,
    response: Slot,
    /// What it has put into the response's body for the filters behind it.
    injected: Slot,
}

/// A filter's state in one direction.
#[derive(Default)]
pub struct DirectionState {
    /// The piece that its body callback sees, or that it holds back.
    pub body: RefCell<Option<Body>>,
    /// Held back by `Pause`; the value says whether the held piece ends the body.
    pub held: Cell<Option<bool>>,
    /// What it holds back is not seen again: its body callback gets the next piece alone.
    pub unseen: Cell<bool>,
    /// Its header waits, and its body callbacks go on meanwhile.
    pub iterates: Cell<bool>,
    /// `continue_stream` was called.
    pub resume: Cell<bool>,
    /// Where a large piece is held.
    pub spool: Spool,
}

impl Aside {
    fn waiting(&self, direction: Direction) -> &Slot {
        match direction {
            Direction::Request => &self.request,
            Direction::Response => &self.response,
        }
    }
}

impl Filter {
    pub fn new(instance: Option<(Rc<dyn Guest>, ContextId)>) -> Filter {
        Filter {
            skipped: Cell::new(instance.is_none()),
            instance,
            request: DirectionState::default(),
            response: DirectionState::default(),
            aside: OnceCell::new(),
        }
    }

    pub fn half(&self, direction: Direction) -> &DirectionState {
        match direction {
            Direction::Request => &self.request,
            Direction::Response => &self.response,
        }
    }

    /// The piece that waits for header callbacks, before this filter: what `look` says of it.
    pub fn look_at_waiting<R>(
        &self,
        direction: Direction,
        look: impl FnOnce(&Body, bool) -> R,
    ) -> Option<R> {
        let aside = self.aside.get()?;
        let slot = aside.waiting(direction).borrow();
        slot.as_ref().map(|(body, end)| look(body, *end))
    }

    pub fn is_waited_for(&self, direction: Direction) -> bool {
        self.look_at_waiting(direction, |_, _| ()).is_some()
    }

    pub fn take_waiting(&self, direction: Direction) -> Option<(Body, bool)> {
        self.aside.get()?.waiting(direction).take()
    }

    /// Adds a piece to it; `end`: it ends the body.
    pub fn wait(&self, direction: Direction, mut piece: Body, end: bool) -> Result<(), Status> {
        let mut slot = self.aside().waiting(direction).borrow_mut();
        match slot.as_mut() {
            Some(kept) => {
                kept.1 = end;
                kept.0.append(piece)
            }
            None => piece.own().map(|()| *slot = Some((piece, end))),
        }
    }

    /// Has it put something into this body that has not gone on?
    pub fn has_injected(&self, direction: Direction) -> bool {
        let injected = self.aside.get().map(|aside| &aside.injected);
        direction == Direction::Response && injected.is_some_and(|slot| slot.borrow().is_some())
    }

    /// What it has put into this body, and whether that ends it.
    pub fn take_injected(&self, direction: Direction) -> Option<(Body, bool)> {
        match direction {
            Direction::Request => None,
            Direction::Response => self.aside.get()?.injected.take(),
        }
    }

    /// Where it puts something into the response's body.
    pub fn injected(&self) -> &Slot {
        &self.aside().injected
    }

    fn aside(&self) -> &Aside {
        self.aside.get_or_init(Box::default)
    }

    /// Where its callbacks are made; `None`: it is skipped.
    pub fn instance(&self) -> Option<(&Rc<dyn Guest>, ContextId)> {
        match (&self.instance, self.skipped.get()) {
            (Some((guest, id)), false) => Some((guest, *id)),
            _ => None,
        }
    }

    /// Its instance, be it that the filter is skipped.
    pub fn guest(&self) -> Option<&Rc<dyn Guest>> {
        self.instance.as_ref().map(|(guest, _)| guest)
    }

    /// May what it has paused go on? A filter that is skipped holds nothing.
    pub fn may_go_on(&self, direction: Direction) -> bool {
        self.skipped.get() || self.half(direction).resume.get()
    }

    /// As [`Filter::may_go_on`]; the next pause has to be ended anew.
    pub fn goes_on(&self, direction: Direction) -> bool {
        let may = self.may_go_on(direction);
        self.half(direction).resume.set(false);
        may
    }

    /// Makes the last callbacks: done, log, delete.
    pub fn finish(&self, failed: impl FnOnce(&dyn Guest, &Failure)) {
        if let Some((guest, id)) = &self.instance
            && let Err(error) = guest.finish(*id, true)
        {
            failed(&**guest, &error);
        }
    }

    /// Makes the last callbacks but that of the log, which needs the request.
    pub fn finish_without_log(&self) {
        if let Some((guest, id)) = &self.instance {
            // Nothing can be logged for the request any more.
            let _ = guest.finish(*id, false);
        }
    }
}
