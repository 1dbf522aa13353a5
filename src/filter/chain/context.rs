//! What the module keeps for one request: the contexts of its filters, and how far it is.

pub mod body;
pub mod bounds;
pub mod change;
pub mod create;
pub mod failure;
pub mod framing;
pub mod header_stop;
pub mod inject;
pub mod pause;
pub mod stops;
pub mod store;
pub mod turn;
pub mod unsendable;

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};

use ngx::ffi::ngx_str_t;
use proxy_wasm_host::Action;

use crate::conf::chain::Chain;
use crate::conf::policy::OnFailure;
use crate::filter::chain::context::failure::report;
use crate::filter::chain::context::stops::Stops;
use crate::filter::chain::filter::{Filter, FilterList};
use crate::filter::chain::filter_state::values::FilterState;
use crate::filter::chain::guest::Callback;
use crate::filter::chain::request_body::Rewriter;
use crate::filter::chain::response::state::Response;
use crate::filter::chain::stage::{Direction, RequestStage, Stop};
use crate::filter::chain::upload::state::Upload;
use crate::filter::chain::upstream::chosen::Chosen;
use crate::filter::chain::wake::{Handlers, Wake};
use crate::message::headers::request::lines::OwnLines;
use crate::nginx::request::Request;

/// The contexts of a request or subrequest, and its progress. Everything is in cells: host calls
/// come in while a callback runs.
pub struct Context {
    /// This context.
    pub this: Weak<Context>,
    pub chain: Rc<Chain>,
    filters: OnceCell<FilterList>,
    pub life: Life,
    pub incoming: Incoming,
    pub response: Response,
    pub route: Route,
    pub buffers: Buffers,
    /// Reasons to end.
    pub stops: Stops,
    /// What filters have stored for this request; made when it is first needed.
    pub state: OnceCell<Rc<FilterState>>,
    pub wake: Wake,
    /// A body that waits for a later turn of the event loop.
    pub later: turn::Later,
    /// What makes its callbacks, where that is not nginx's phases and filters. It goes behind the filters.
    pub driver: Option<Rc<dyn Any>>,
}

/// How long the contexts live, and what they are at.
pub struct Life {
    /// Until the contexts have ended.
    request: Cell<Option<Request>>,
    /// A callback of one of the filters is running.
    running: Cell<bool>,
    /// The filters' instances tell the context when they fail.
    watching: Cell<bool>,
    /// nginx has finished with this subrequest.
    pub finished: Cell<bool>,
    /// The last callbacks are being made.
    pub ending: Cell<bool>,
}

/// How far the request is, and what filters have made of it.
pub struct Incoming {
    pub stage: Cell<RequestStage>,
    /// So many filters have seen the request. As in Envoy, the others do not see the response.
    pub reached: Cell<usize>,
    /// The header map, the method or the path was changed.
    pub changed: Cell<bool>,
    /// Where the request's lines are then.
    pub lines: OwnLines,
    /// Has nginx been told to read the body, and is it there?
    pub body_read: Cell<Option<bool>>,
    /// The body that had been read, as filters make it.
    pub rewritten: RefCell<Option<Rewriter>>,
    /// The filter that has made one for a request that has none.
    pub body_made_by: Cell<Option<usize>>,
    /// Of a body that is passed on while it comes; made when nginx begins to read it.
    pub upload: OnceCell<Box<Upload>>,
}

/// Where the request goes.
pub struct Route {
    /// A filter has asked for the location to be chosen again.
    pub cleared: Cell<bool>,
    /// The URI that the location was chosen by, in the request's pool.
    pub uri: Cell<ngx_str_t>,
    /// nginx has sent the request to another location, and the module has not seen to that yet.
    pub moved: Cell<bool>,
    /// The server of the upstream that a filter has chosen.
    pub chosen: Chosen,
}

/// What is kept for filters.
#[derive(Default)]
pub struct Buffers {
    /// A filter has held back some of a body, or some has waited for one's header callback.
    any_held: Cell<bool>,
    /// What guests have written and read so far.
    bounds: bounds::Bounds,
}

impl Context {
    /// One without filters; it is at the beginning of the request. `driver`: what makes its callbacks in place of nginx's
    /// phases and filters.
    pub fn new(
        request: Request,
        chain: &Rc<Chain>,
        handlers: &'static Handlers,
        driver: Option<Rc<dyn Any>>,
    ) -> Rc<Context> {
        Rc::new_cyclic(|this| Context {
            this: this.clone(),
            chain: chain.clone(),
            filters: OnceCell::new(),
            life: Life {
                request: Cell::new(Some(request)),
                running: Cell::new(false),
                watching: Cell::new(false),
                finished: Cell::new(false),
                ending: Cell::new(false),
            },
            incoming: Incoming {
                stage: Cell::new(RequestStage::Headers(0)),
                reached: Cell::new(0),
                changed: Cell::new(false),
                lines: OwnLines::default(),
                body_read: Cell::new(None),
                rewritten: RefCell::new(None),
                body_made_by: Cell::new(None),
                upload: OnceCell::new(),
            },
            response: Response::default(),
            route: Route {
                cleared: Cell::new(false),
                uri: Cell::new(request.uri_in_pool()),
                moved: Cell::new(false),
                chosen: Chosen::default(),
            },
            buffers: Buffers::default(),
            stops: Stops::default(),
            state: OnceCell::new(),
            wake: Wake::new(handlers),
            later: turn::Later::default(),
            driver,
        })
    }

    /// Sets its filters, once.
    pub fn set_filters(&self, filters: FilterList) {
        let _ = self.filters.set(filters);
    }

    /// The request, until its contexts have ended.
    pub fn request(&self) -> Option<Request> {
        self.life.request.get()
    }

    pub fn filters(&self) -> &[Filter] {
        self.filters.get().map_or(&[], |filters| filters)
    }

    /// Number of filters in a direction's order.
    pub fn count(&self, direction: Direction) -> usize {
        match direction {
            Direction::Request => self.filters().len(),
            Direction::Response => self.incoming.reached.get().min(self.filters().len()),
        }
    }

    /// The filter at a place of a direction's order: response filters run in reverse.
    pub fn index(&self, direction: Direction, place: usize) -> usize {
        match direction {
            Direction::Request => place,
            Direction::Response => self.count(direction).saturating_sub(place + 1),
        }
    }

    /// Makes a callback in a filter's context, and then sees to what the guest asked for
    /// meanwhile.
    #[inline(always)]
    pub fn callback(
        &self,
        direction: Direction,
        index: usize,
        callback: Callback,
    ) -> Result<Action, Stop> {
        let Some(filter) = self.filters().get(index) else {
            return Ok(Action::Continue);
        };
        let Some((guest, id)) = filter.instance() else {
            return Ok(Action::Continue);
        };
        let half = filter.half(direction);
        half.resume.set(false);
        self.life.running.set(true);
        let result = guest.call(id, callback);
        self.life.running.set(false);
        let action = match result {
            Ok(action) => action,
            Err(error) => {
                match error.is_end() {
                    // The filter has not seen the request.
                    true => self.incoming.reached.set(index),
                    false => self.filter_failed(index, &error),
                }
                Action::Continue
            }
        };
        // As in Envoy, what a filter that is skipped from now on has asked for still holds.
        self.stops.check()?;
        match action {
            // What is dropped does not come back.
            Action::Continue | Action::Drop => Ok(action),
            _ if filter.goes_on(direction) => Ok(Action::Continue),
            _ => {
                self.wake.limit(self);
                Ok(action)
            }
        }
    }

    /// Makes the last callbacks in all filters' contexts: done, log, delete. Later calls do
    /// nothing.
    pub fn end(&self) {
        let Some(request) = self.request() else {
            return;
        };
        self.life.ending.set(true);
        for filter in self.filters() {
            filter.finish(|guest, error| report(request, guest, error, OnFailure::Open));
        }
        self.filters()
            .iter()
            .filter_map(Filter::guest)
            .for_each(|guest| guest.request_ended());
        self.wake.cancel();
        self.later.cancel();
        self.life.request.set(None);
    }
}
