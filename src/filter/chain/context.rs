//! What the module keeps for one request: the contexts of its filters, and how far it is.

pub mod body;
pub mod bounds;
pub mod filter;
pub mod framing;
pub mod header_stop;
pub mod inject;
pub mod pause;
pub mod stops;
pub mod store;
pub mod turn;
pub mod unsendable;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use ngx::ffi::{NGX_HTTP_BAD_GATEWAY, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, ngx_str_t};
use proxy_wasm_host::{Action, CallError, Callbacks, ContextId};

use crate::conf::chain::Chain;
use crate::conf::policy::OnFailure;
use crate::conf::{LocConf, MainConf};
use crate::filter::chain::context::filter::Filter;
use crate::filter::chain::context::stops::Stops;
use crate::filter::chain::context::store::{attach, find};
use crate::filter::chain::ended;
use crate::filter::chain::filter_state::FilterState;
use crate::filter::chain::response::{Response, Stage};
use crate::filter::chain::upload::Upload;
use crate::filter::chain::upstream::chosen::Chosen;
use crate::filter::chain::wake::Wake;
use crate::filter::proxy_wasm::instance::{SharedVm, WorkerVm};
use crate::filter::proxy_wasm::own::OwnVms;
use crate::filter::proxy_wasm::stream::Stream;
use crate::message::headers::request::lines::Own;
use crate::nginx::request::Request;

/// Half of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
}

impl Direction {
    pub fn name(self) -> &'static str {
        match self {
            Direction::Request => "request",
            Direction::Response => "response",
        }
    }

    /// Is there a callback for its body?
    #[inline]
    pub fn body_callback(self, callbacks: Callbacks) -> bool {
        match self {
            Direction::Request => callbacks.request_body(),
            Direction::Response => callbacks.response_body(),
        }
    }

    /// The status for one that is over `wasm_buffer_size`.
    pub fn over_limit(self) -> u32 {
        match self {
            Direction::Request => NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
            Direction::Response => NGX_HTTP_BAD_GATEWAY,
        }
    }
}

/// Why a request cannot go on through its filters.
pub enum Stop {
    /// A filter answered with a local response, recorded in the context.
    LocalReply,
    /// A filter closed the stream.
    Close,
    /// A filter failed; the log says why.
    Failed,
    /// The upstream failed while a filter held its response back.
    CutOff,
    /// A filter paused for longer than `wasm_pause_timeout`.
    TimedOut,
    /// More than `wasm_buffer_size` of the request's or the response's.
    OverLimit(Direction),
    /// A filter has written a header that cannot be sent.
    Unsendable(Direction),
}

/// How far the request callbacks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestStage {
    /// The header callback of the filter at this place is next.
    Headers(usize),
    /// The filter at this place paused in its header callback.
    HeadersPaused(usize),
    /// nginx reads the body.
    ReadingBody,
    /// The body is there; its callbacks are next.
    BodyRead,
    /// A body callback paused at the end of the body.
    BodyPaused,
    /// The header callbacks are done, and those of the body are made while nginx's content handler
    /// reads it (see [`Upload`]).
    Streaming,
    Done,
}

/// The contexts of a request or subrequest, and its progress. Everything is in cells: host calls
/// come in while a callback runs.
pub struct Context {
    request: Cell<Option<Request>>,
    pub chain: Rc<Chain>,
    filters: OnceCell<Vec<Filter>>,
    pub stage: Cell<RequestStage>,
    /// So many filters have seen the request. As in Envoy, the others do not see the response.
    pub reached: Cell<usize>,
    /// Has nginx been told to read the body, and is it there?
    pub body_read: Cell<Option<bool>>,
    /// The request's header map, method or path was changed.
    pub request_changed: Cell<bool>,
    /// Where the request's lines are then.
    pub lines: Own,
    pub response: Response,
    /// Reasons to end.
    pub stops: Stops,
    /// The log has a line about what filters have written and nginx cannot send.
    unsendable_told: Cell<bool>,
    /// A filter has held back some of a body, or some has waited for one's header callback.
    has_held: Cell<bool>,
    /// What guests have written and read so far.
    bounds: bounds::Bounds,
    /// A callback of one of the filters is running.
    running: Cell<bool>,
    /// The filters' instances tell this context when they fail.
    watching: Cell<bool>,
    /// nginx has finished with this subrequest.
    pub finished: Cell<bool>,
    /// nginx has sent the request to another location, and the module has not seen to that yet.
    pub moved: Cell<bool>,
    /// The last callbacks are being made.
    pub ending: Cell<bool>,
    /// What filters have stored for this request; made when it is first needed.
    pub state: OnceCell<Rc<FilterState>>,
    /// A filter has asked for the location to be chosen again.
    pub route_cleared: Cell<bool>,
    /// The URI that the location was chosen by, in the request's pool.
    pub routed: Cell<ngx_str_t>,
    pub body: RefCell<Option<crate::filter::chain::request_body::Rewriter>>,
    /// The server of the upstream that a filter has chosen.
    pub chosen: Chosen,
    /// Of a body that is passed on while it comes; made when nginx begins to read it.
    pub upload: OnceCell<Box<Upload>>,
    pub wake: Wake,
    /// A body that waits for a later turn of the event loop.
    pub later: turn::Later,
}

impl Context {
    /// Makes a context in every filter's instance. `None` when one without which the request must
    /// not go on cannot be had or fails; the log says why.
    pub fn create(request: Request, chain: &Rc<Chain>, conf: &MainConf) -> Option<Rc<Context>> {
        let context = Rc::new(Context {
            request: Cell::new(Some(request)),
            chain: chain.clone(),
            filters: OnceCell::new(),
            stage: Cell::new(RequestStage::Headers(0)),
            reached: Cell::new(0),
            body_read: Cell::new(None),
            request_changed: Cell::new(false),
            lines: Own::default(),
            response: Response::default(),
            stops: Stops::default(),
            unsendable_told: Cell::new(false),
            has_held: Cell::new(false),
            bounds: bounds::Bounds::default(),
            running: Cell::new(false),
            watching: Cell::new(false),
            finished: Cell::new(false),
            moved: Cell::new(false),
            ending: Cell::new(false),
            state: OnceCell::new(),
            route_cleared: Cell::new(false),
            routed: Cell::new(request.uri_in_pool()),
            body: RefCell::new(None),
            chosen: Chosen::default(),
            upload: OnceCell::new(),
            wake: Wake::default(),
            later: turn::Later::default(),
        });
        attach(request, &context)?;
        if !request.is_main() {
            ended::watch(request)?;
        }
        let mut own = OwnVms::default();
        let mut filters = Vec::with_capacity(chain.filters.len());
        for (index, &id) in chain.filters.iter().enumerate() {
            let instance = conf.worker().and_then(|worker| {
                let (vm, root) = worker.filter(id, &mut own, request.log())?;
                let stream = Stream::new(context.clone(), index);
                match vm.call(|vm| vm.create_stream(root, stream)) {
                    Ok(id) => Some((vm, id)),
                    Err(error) => {
                        filter::report(request, &vm, &error, chain.on_failure[index]);
                        None
                    }
                }
            });
            if instance.is_none() && chain.on_failure[index] == OnFailure::Closed {
                break;
            }
            filters.push(Filter::new(instance));
        }
        let complete = filters.len() == chain.filters.len();
        // Set once, here.
        let _ = context.filters.set(filters);
        if !complete {
            context.end();
            return None;
        }
        Some(context)
    }

    /// The context of a subrequest that has come past the phases of the request's callbacks;
    /// `Ok(None)` when its location has no filters, or it had a context that has ended.
    pub fn of_clone(request: Request) -> Result<Option<Rc<Context>>, ()> {
        if !request
            .module_ctx::<Context>(crate::nginx::guard::module())
            .is_null()
        {
            return Ok(None);
        }
        // The client has got a filter's own response: nothing may follow.
        if find(request.main()).is_some_and(|main| main.response.stage() == Stage::Discarding) {
            return Err(());
        }
        let (Some(chain), Some(conf)) = (LocConf::of(request).chain(), MainConf::of(request))
        else {
            return Ok(None);
        };
        let context = Context::create(request, chain, conf).ok_or(())?;
        request.range_as_main();
        context.stage.set(RequestStage::Done);
        context.reached.set(context.filters().len());
        Ok(Some(context))
    }

    /// The request, until its contexts have ended.
    pub fn request(&self) -> Option<Request> {
        self.request.get()
    }

    pub fn filters(&self) -> &[Filter] {
        self.filters.get().map_or(&[], |filters| filters)
    }

    /// Number of filters in a direction's order.
    pub fn count(&self, direction: Direction) -> usize {
        match direction {
            Direction::Request => self.filters().len(),
            Direction::Response => self.reached.get().min(self.filters().len()),
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
    pub fn callback(
        &self,
        direction: Direction,
        index: usize,
        call: impl FnOnce(&mut WorkerVm, ContextId) -> Result<Action, CallError>,
    ) -> Result<Action, Stop> {
        let Some(filter) = self.filters().get(index) else {
            return Ok(Action::Continue);
        };
        let Some((vm, id)) = filter.instance() else {
            return Ok(Action::Continue);
        };
        let half = filter.half(direction);
        half.resume.set(false);
        self.running.set(true);
        let result = vm.call(|vm| call(vm, id));
        self.running.set(false);
        let action = match result {
            Ok(action) => action,
            Err(error) => {
                self.filter_failed(index, &error);
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
        self.ending.set(true);
        for filter in self.filters() {
            filter.finish(|vm, error| filter::report(request, vm, error, OnFailure::Open));
        }
        self.filters()
            .iter()
            .filter_map(Filter::vm)
            .for_each(SharedVm::request_ended);
        self.wake.cancel();
        self.later.cancel();
        self.request.set(None);
    }
}
