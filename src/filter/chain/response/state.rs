//! What the module keeps of a response.

use std::cell::{Cell, RefCell};

use ngx::ffi::{ngx_buf_t, ngx_chain_t};

use crate::filter::chain::stage::ResponseStage;
use crate::message::body::WINDOW;
use crate::nginx::buf;
use crate::nginx::guard::module;
use crate::nginx::request::Request;

/// Bytes of a file that pass the filters before they are sent on.
pub const UNSENT: usize = 8 * WINDOW;

/// Set in `r->buffered` while the filters hold something back. nginx's own filters use the bits
/// 1 (SSI), 2 (sub) and 4 (copy) of the four.
pub const BUFFERED: u32 = 8;

/// Trailers that wait.
#[derive(Clone, Copy)]
pub struct Trailers {
    /// For the filter at this place.
    pub place: usize,
    /// Its callback has been made, and has paused; else it waits for header callbacks.
    pub made: bool,
}

/// A response on its way.
pub struct Response {
    pub stage: Cell<ResponseStage>,
    /// Buffers that came in and have not yet passed the filters.
    pub queue: Cell<*mut ngx_chain_t>,
    /// Bytes of the first queued buffer, a file, that have passed the filters.
    pub passed: Cell<usize>,
    /// Bytes of it that have been sent on; those up to `passed` are unchanged.
    pub sent: Cell<usize>,
    pub output: RefCell<buf::Output>,
    /// Bytes of the output's buffers.
    pub storage: RefCell<Vec<(*mut ngx_buf_t, Vec<u8>)>>,
    /// The end of the body has been passed on, or there is no body.
    pub ended: Cell<bool>,
    /// Bytes of the body, when the upstream has told.
    pub length: Cell<Option<u64>>,
    /// It came with a status that has no body (1xx, 204, 304).
    pub bodiless: Cell<bool>,
    /// Bytes of it that are still to come in.
    pub expected: Cell<Option<u64>>,
    /// A filter has ended the body itself: what comes in is dropped.
    pub cut_off: Cell<bool>,
    /// The upstream has been told.
    pub drops_input: Cell<bool>,
    /// A filter has changed or held some of the body.
    pub changed: Cell<bool>,
    /// Bytes that the Content-Length which was sent still promises.
    pub promised: Cell<Option<u64>>,
    /// The trailers, with the end of the body, wait.
    pub trailers: Cell<Option<Trailers>>,
}

impl Default for Response {
    fn default() -> Response {
        Response {
            stage: Cell::default(),
            queue: Cell::new(std::ptr::null_mut()),
            passed: Cell::new(0),
            sent: Cell::new(0),
            output: RefCell::new(buf::Output::new(
                std::ptr::from_ref(module()).cast_mut().cast(),
            )),
            storage: RefCell::default(),
            ended: Cell::new(false),
            length: Cell::new(None),
            bodiless: Cell::new(false),
            expected: Cell::new(None),
            cut_off: Cell::new(false),
            drops_input: Cell::new(false),
            changed: Cell::new(false),
            promised: Cell::new(None),
            trailers: Cell::new(None),
        }
    }
}

impl Response {
    pub fn stage(&self) -> ResponseStage {
        self.stage.get()
    }

    /// Are there response headers, of a response that the filters are not done with?
    pub fn is_on_its_way(&self) -> bool {
        matches!(
            self.stage.get(),
            ResponseStage::HeadersPaused(_) | ResponseStage::HeadersHeld | ResponseStage::Sent
        ) && !self.ended.get()
    }

    /// Bytes of the body as it came, when that is known.
    pub fn length(&self) -> Option<u64> {
        self.length.get()
    }

    /// Is there none yet, so that the request can still be changed?
    pub fn takes_request(&self) -> bool {
        self.stage.get() == ResponseStage::New
    }

    /// Has the header not been passed on?
    pub fn takes_headers(&self) -> bool {
        matches!(
            self.stage.get(),
            ResponseStage::Headers | ResponseStage::HeadersPaused(_) | ResponseStage::HeadersHeld
        )
    }

    /// Is there a response, the end of whose body has not been passed on?
    pub fn takes_trailers(&self) -> bool {
        self.takes_headers() || self.stage.get() == ResponseStage::Sent && !self.ended.get()
    }

    /// Has the end of the body been passed on, or is there no body?
    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// The place of the filter that holds the trailers back.
    pub fn paused_trailers(&self) -> Option<usize> {
        let trailers = self.trailers.get().filter(|trailers| trailers.made);
        trailers.map(|trailers| trailers.place)
    }

    /// Do they wait, for a filter or for header callbacks?
    pub fn trailers_are_paused(&self) -> bool {
        self.trailers.get().is_some()
    }

    /// Has a filter ended the body itself?
    pub fn is_cut_off(&self) -> bool {
        self.cut_off.get()
    }

    /// A filter has ended the body: nothing that comes in is used.
    pub fn cut_off(&self) {
        self.cut_off.set(true);
        self.trailers.set(None);
    }

    /// Is it one that has no body, whatever its header says?
    pub fn is_bodiless(&self, request: Request) -> bool {
        self.bodiless.get() || request.response_is_bodiless()
    }

    /// Has all that was made of it gone out? The request is live.
    pub fn is_sent(&self) -> bool {
        // SAFETY: by the contract.
        unsafe { self.output.borrow().busy() == 0 }
    }

    /// Have the filters got all of the body that has come so far, and not its end?
    pub fn waits_for_input(&self) -> bool {
        matches!(
            self.stage.get(),
            ResponseStage::HeadersHeld | ResponseStage::Sent
        ) && self.has_no_input()
    }

    /// Is nothing queued, and the end still to come?
    pub fn has_no_input(&self) -> bool {
        !self.ended.get() && self.queue.get().is_null() && !self.trailers_are_paused()
    }
}
