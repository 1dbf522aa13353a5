//! What the module keeps of a request body that is passed on while it comes.

use std::cell::{Cell, RefCell};

use crate::filter::chain::upload::queue::{Input, Output};

/// A request body on its way.
#[derive(Default)]
pub struct Upload {
    /// nginx has begun to read it.
    pub started: Cell<bool>,
    pub start: Start,
    pub input: RefCell<Input>,
    pub output: RefCell<Output>,
    pub length: Length,
    /// The filters end the request: nothing goes on any more.
    pub stopped: Cell<bool>,
}

impl Upload {
    /// Has all that was sent on been used up? The request is live.
    pub fn is_sent(&self) -> bool {
        self.output.borrow_mut().pending() == 0
    }

    /// Has the filters' input come to its end?
    pub fn has_all(&self) -> bool {
        self.input.borrow().has_end()
    }
}

/// When the upstream's request begins.
#[derive(Default)]
pub struct Start {
    /// The request's references while the content handler runs.
    pub references: Cell<u32>,
    pub is_put_off: Cell<bool>,
    /// The content handler has returned: an event begins the upstream's request.
    pub is_due: Cell<bool>,
}

/// How long the body is.
#[derive(Default)]
pub struct Length {
    /// What the client has declared, in bytes.
    pub declared: Cell<Option<u64>>,
    /// The upstream is not told it.
    pub is_open: Cell<bool>,
    /// nginx reads a body of a declared length as if it were within a chunk of that size.
    pub as_chunk: Cell<bool>,
    /// Bytes that have come in.
    pub received: Cell<u64>,
    /// Bytes that have gone on.
    pub sent: Cell<u64>,
}
