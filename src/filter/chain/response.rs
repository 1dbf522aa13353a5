//! The response through the filters: nginx's header filter and body filter.
//!
//! While a filter sees the body, the response header is held until the first piece of the body
//! has passed the filters, or nginx flushes what there is (as without `proxy_buffering`): until
//! then a filter can still answer with a local response, and a length that is no longer right can
//! be mended.

pub mod header;
pub mod output;
pub mod pass;
pub mod stop;
pub mod straight;
pub mod trailers;
pub mod window;

use std::cell::{Cell, RefCell};

use ngx::ffi::{ngx_buf_t, ngx_chain_add_copy, ngx_chain_t, ngx_int_t};

use crate::filter::chain::context::store::find;
use crate::filter::chain::context::{Context, Stop};
use crate::filter::chain::give_up::give_up;
use crate::filter::chain::refused;
use crate::filter::chain::response::header::run_headers;
use crate::filter::chain::response::pass::{pump, set_buffered};
use crate::filter::chain::response::window::drop_queue;
use crate::message::next;
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK, buf};

/// Bytes of a file that a body callback sees at a time.
pub const WINDOW: usize = 64 * 1024;

/// Bytes of a file that pass the filters before they are sent on.
const UNSENT: usize = 8 * WINDOW;

/// Set in `r->buffered` while the filters hold something back. nginx's own filters use the bits
/// 1 (SSI), 2 (sub) and 4 (copy) of the four.
const BUFFERED: u32 = 8;

/// How far the response is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// There are no response headers yet.
    #[default]
    New,
    /// The header callbacks are being made.
    Headers,
    /// The filter at this place paused in its header callback.
    HeadersPaused(usize),
    /// The header callbacks are done; the header waits for the first piece of the body.
    HeadersHeld,
    /// The header has been passed on.
    Sent,
    /// The filters have nothing more to do with this response.
    Passing,
    /// A filter's own response has been sent; what comes from upstream is dropped.
    Discarding,
}

/// Trailers that wait.
#[derive(Clone, Copy)]
struct Trailers {
    /// For the filter at this place.
    place: usize,
    /// Its callback has been made, and has paused; else it waits for header callbacks.
    made: bool,
}

/// A response on its way.
pub struct Response {
    stage: Cell<Stage>,
    /// Buffers that came in and have not yet passed the filters.
    queue: Cell<*mut ngx_chain_t>,
    /// Bytes of the first queued buffer, a file, that have passed the filters.
    passed: Cell<usize>,
    /// Bytes of it that have been sent on; those up to `passed` are unchanged.
    sent: Cell<usize>,
    output: RefCell<buf::Output>,
    /// Bytes of the output's buffers.
    storage: RefCell<Vec<(*mut ngx_buf_t, Vec<u8>)>>,
    /// The end of the body has been passed on, or there is no body.
    ended: Cell<bool>,
    /// Bytes of the body, when the upstream has told.
    length: Cell<Option<u64>>,
    /// It came with a status that has no body (1xx, 204, 304).
    bodiless: Cell<bool>,
    /// Bytes of it that are still to come in.
    expected: Cell<Option<u64>>,
    /// A filter has ended the body itself: what comes in is dropped.
    cut_off: Cell<bool>,
    /// The upstream has been told.
    drops_input: Cell<bool>,
    /// A filter has changed or held some of the body.
    changed: Cell<bool>,
    /// Bytes that the Content-Length which was sent still promises.
    promised: Cell<Option<u64>>,
    /// The trailers, with the end of the body, wait.
    trailers: Cell<Option<Trailers>>,
}

impl Default for Response {
    fn default() -> Response {
        Response {
            stage: Cell::default(),
            queue: Cell::new(std::ptr::null_mut()),
            passed: Cell::new(0),
            sent: Cell::new(0),
            output: RefCell::new(buf::Output::new(
                std::ptr::from_ref(crate::nginx::guard::module())
                    .cast_mut()
                    .cast(),
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
    pub fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// Are there response headers, of a response that the filters are not done with?
    pub fn is_on_its_way(&self) -> bool {
        matches!(
            self.stage.get(),
            Stage::HeadersPaused(_) | Stage::HeadersHeld | Stage::Sent
        ) && !self.ended.get()
    }

    /// Bytes of the body as it came, when that is known.
    pub fn length(&self) -> Option<u64> {
        self.length.get()
    }

    /// Is there none yet, so that the request can still be changed?
    pub fn takes_request(&self) -> bool {
        self.stage.get() == Stage::New
    }

    /// Has the header not been passed on?
    pub fn takes_headers(&self) -> bool {
        matches!(
            self.stage.get(),
            Stage::Headers | Stage::HeadersPaused(_) | Stage::HeadersHeld
        )
    }

    /// Is there a response, the end of whose body has not been passed on?
    pub fn takes_trailers(&self) -> bool {
        self.takes_headers() || self.stage.get() == Stage::Sent && !self.ended.get()
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
        matches!(self.stage.get(), Stage::HeadersHeld | Stage::Sent) && self.has_no_input()
    }

    /// Is nothing queued, and the end still to come?
    pub fn has_no_input(&self) -> bool {
        !self.ended.get() && self.queue.get().is_null() && !self.trailers_are_paused()
    }
}

/// nginx's header filter.
pub fn header_filter(request: Request) -> ngx_int_t {
    let context = match find(request) {
        Some(context) => context,
        None if request.was_refused() => match refused::contexts(request) {
            Some(context) => match context.stops.check() {
                Ok(()) => context,
                Err(stop) => {
                    context.response.stage.set(Stage::Headers);
                    return stop::stopped(&context, request, stop);
                }
            },
            None => return next::header(request),
        },
        None if !request.is_clone() => return next::header(request),
        // The response of a slice, say: filtered like the first one's.
        None => match Context::of_clone(request) {
            Ok(Some(context)) => context,
            Ok(None) => return next::header(request),
            Err(()) => return ERROR,
        },
    };
    // An upstream may answer a body that still comes.
    if !context.is_streaming() {
        give_up(&context, request);
    }
    let response = &context.response;
    match response.stage.get() {
        Stage::New if !context.stops.has_failed() => {
            response.stage.set(Stage::Headers);
            response.length.set(request.response_length());
            response.expected.set(request.response_length());
            response.bodiless.set(request.status_is_bodiless());
            if request.status() == 101 && context.lines.has_made_upgrade() {
                return stop::stopped(&context, request, Stop::CutOff);
            }
            run_headers(&context, request, 0)
        }
        // nginx gives another response than the one that the filters were at, an error page say.
        Stage::HeadersPaused(_) | Stage::HeadersHeld | Stage::New | Stage::Headers => {
            drop_queue(&context, request);
            response.stage.set(Stage::Passing);
            next::header(request)
        }
        // A filter behind this one gives another response while the first piece is sent.
        Stage::Sent if request.filter_was_finalized() => {
            drop_queue(&context, request);
            response.stage.set(Stage::Passing);
            next::header(request)
        }
        Stage::Sent | Stage::Passing | Stage::Discarding => next::header(request),
    }
}

/// nginx's body filter.
pub fn body_filter(request: Request, input: *mut ngx_chain_t) -> ngx_int_t {
    let Some(context) = find(request) else {
        return next::body(request, input);
    };
    let response = &context.response;
    match response.stage.get() {
        Stage::New | Stage::Headers | Stage::Passing => next::body(request, input),
        Stage::HeadersHeld | Stage::Sent if response.is_cut_off() => {
            // SAFETY: nobody reads these buffers any more.
            unsafe { buf::iter(input).for_each(|b| buf::consume(b)) };
            pump(&context, request)
        }
        Stage::Sent
            if response.queue.get().is_null()
                && (response.ended.get() || !context.chain.response_body)
                && !context.has_injected() =>
        {
            next::body(request, input)
        }
        Stage::Discarding => {
            // SAFETY: nobody reads these buffers any more.
            unsafe { buf::iter(input).for_each(|b| buf::consume(b)) };
            next::body(request, std::ptr::null_mut())
        }
        Stage::HeadersPaused(_) | Stage::HeadersHeld | Stage::Sent => {
            if let Some(rc) = straight::pass(&context, request, input) {
                return rc;
            }
            match enqueue(&context, request, input) {
                OK => pump(&context, request),
                _ => ERROR,
            }
        }
    }
}

/// A filter, or another context's callback, has asked for the end of a response that the body filter lets
/// through unseen.
pub fn end(request: Request) -> ngx_int_t {
    match find(request) {
        Some(context) => match context.stops.check() {
            Err(stop) => stop::stopped(&context, request, stop),
            Ok(()) => OK,
        },
        None => OK,
    }
}

/// Queues what has come in.
fn enqueue(context: &Context, request: Request, input: *mut ngx_chain_t) -> ngx_int_t {
    let mut queue = context.response.queue.get();
    // SAFETY: the links are from the request's pool.
    let rc = unsafe { ngx_chain_add_copy(request.pool(), &mut queue, input) };
    context.response.queue.set(queue);
    rc
}
