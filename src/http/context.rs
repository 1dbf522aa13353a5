//! What the module keeps for one request: the contexts of its filters, and how far it is.

mod pause;
mod store;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use proxy_wasm_host::{Action, CallError, ContextId};

use super::body::Body;
use super::chain::Chain;
use super::filter_state::FilterState;
use super::local::LocalReply;
use super::response::Response;
use super::spool::Spool;
use super::stream::Stream;
use super::wake::Wake;
use crate::conf::{LocConf, MainConf};
use crate::nginx::log::Level;
use crate::nginx::request::Request;
use crate::worker::{SharedVm, WorkerVm};
use store::attach;
pub use store::{all, detach, find};

/// Half of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
}

/// One filter of the chain in this request.
pub struct Filter {
    pub vm: SharedVm,
    pub id: ContextId,
    pub request: Half,
    pub response: Half,
}

impl Filter {
    pub fn half(&self, direction: Direction) -> &Half {
        match direction {
            Direction::Request => &self.request,
            Direction::Response => &self.response,
        }
    }
}

/// A filter's state in one direction.
#[derive(Default)]
pub struct Half {
    /// The piece that its body callback sees, or that it holds back.
    pub body: RefCell<Option<Body>>,
    /// Held back by `Pause`; the value says whether the held piece ends the body.
    pub held: Cell<Option<bool>>,
    /// What has passed the filters before this one while its header callback, or one behind it,
    /// is still to be made; the value says whether it ends the body.
    waiting: RefCell<Option<(Body, bool)>>,
    /// `continue_stream` was called.
    pub resume: Cell<bool>,
    /// Where a large piece is held.
    spool: Spool,
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
    pub response: Response,
    pub reply: RefCell<Option<LocalReply>>,
    pub close: Cell<bool>,
    /// A pause took too long.
    pub timed_out: Cell<bool>,
    /// A callback of one of the filters is running.
    running: Cell<bool>,
    /// The filters' instances tell this context when they fail.
    watching: Cell<bool>,
    /// A filter failed: no callback but the last ones is made any more.
    pub failed: Cell<bool>,
    /// The last callbacks are being made.
    pub ending: Cell<bool>,
    /// What filters have stored for this request; made when it is first needed.
    pub state: OnceCell<Rc<FilterState>>,
    /// A filter has asked for the location to be chosen again.
    pub route_cleared: Cell<bool>,
    /// The URI that the location was chosen by.
    pub routed: RefCell<Vec<u8>>,
    pub body: RefCell<Option<super::request_body::Rewriter>>,
    pub wake: Wake,
}

impl Context {
    /// Makes a context in every filter's instance. `None` when an instance cannot be had or
    /// fails; the log says why, and the request must fail.
    pub fn create(request: Request, chain: &Rc<Chain>, conf: &MainConf) -> Option<Rc<Context>> {
        let worker = conf.worker()?;
        let context = Rc::new(Context {
            request: Cell::new(Some(request)),
            chain: chain.clone(),
            filters: OnceCell::new(),
            stage: Cell::new(RequestStage::Headers(0)),
            reached: Cell::new(0),
            body_read: Cell::new(None),
            request_changed: Cell::new(false),
            response: Response::default(),
            reply: RefCell::new(None),
            close: Cell::new(false),
            timed_out: Cell::new(false),
            running: Cell::new(false),
            watching: Cell::new(false),
            failed: Cell::new(false),
            ending: Cell::new(false),
            state: OnceCell::new(),
            route_cleared: Cell::new(false),
            routed: RefCell::new(request.uri().to_vec()),
            body: RefCell::new(None),
            wake: Wake::default(),
        });
        attach(request, &context)?;
        let mut filters = Vec::with_capacity(chain.filters.len());
        for (index, &filter) in chain.filters.iter().enumerate() {
            let Some((vm, root)) = worker.filter(filter, request.log()) else {
                break;
            };
            let stream = Stream::new(context.clone(), index);
            match vm.call(|vm| vm.create_stream(root, stream)) {
                Ok(id) => filters.push(Filter {
                    vm,
                    id,
                    request: Half::default(),
                    response: Half::default(),
                }),
                Err(error) => {
                    report(request, &vm, &error);
                    break;
                }
            }
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
        if !request.module_ctx::<Context>(crate::module()).is_null() {
            return Ok(None);
        }
        let (Some(chain), Some(conf)) = (LocConf::of(request).chain(), MainConf::of(request))
        else {
            return Ok(None);
        };
        let context = Context::create(request, chain, conf).ok_or(())?;
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
    /// meanwhile. `Ok(true)`: go on; `Ok(false)`: paused.
    pub fn callback(
        &self,
        direction: Direction,
        index: usize,
        call: impl FnOnce(&mut WorkerVm, ContextId) -> Result<Action, CallError>,
    ) -> Result<bool, Stop> {
        let Some(filter) = self.filters().get(index) else {
            return Ok(true);
        };
        let half = filter.half(direction);
        half.resume.set(false);
        self.running.set(true);
        let result = filter.vm.call(|vm| call(vm, filter.id));
        self.running.set(false);
        if let Err(error) = &result
            && let Some(request) = self.request()
        {
            report(request, &filter.vm, error);
        }
        let Ok(action) = result else {
            self.failed.set(true);
            return Err(Stop::Failed);
        };
        self.check_stop()?;
        let go_on = action == Action::Continue || half.resume.replace(false);
        if !go_on {
            self.wake.limit(self);
        }
        Ok(go_on)
    }

    /// Has a guest asked for the end of the stream?
    pub fn check_stop(&self) -> Result<(), Stop> {
        if self.failed.get() {
            return Err(Stop::Failed);
        }
        if self.reply.borrow().is_some() {
            return Err(Stop::LocalReply);
        }
        if self.close.get() {
            return Err(Stop::Close);
        }
        if self.timed_out.get() {
            return Err(Stop::TimedOut);
        }
        Ok(())
    }

    /// Passes a piece of a body through the filters from `place` on, as far as they may see it.
    /// `None`: a filter holds it.
    pub fn pass_body(
        self: &Rc<Self>,
        direction: Direction,
        mut place: usize,
        mut piece: Body,
        end: bool,
    ) -> Result<Option<Body>, Stop> {
        while place < self.limit(direction) {
            let index = self.index(direction, place);
            place += 1;
            let callbacks = self.chain.callbacks[index];
            let wanted = match direction {
                Direction::Request => callbacks.request_body(),
                Direction::Response => callbacks.response_body(),
            };
            if !wanted {
                continue;
            }
            let half = self.filters()[index].half(direction);
            if half.held.take().is_some()
                && let Some(mut held) = half.body.take()
            {
                held.append(piece).map_err(|_| self.io_failure())?;
                piece = held;
            }
            let size = piece.len();
            half.body.replace(Some(piece));
            let go_on = self.callback(direction, index, |vm, id| match direction {
                Direction::Request => vm.on_request_body(id, size, end),
                Direction::Response => vm.on_response_body(id, size, end),
            });
            piece = half.body.take().unwrap_or_default();
            if !go_on? {
                let request = self.request().ok_or(Stop::Failed)?;
                piece
                    .own()
                    .and_then(|()| piece.spool(|bytes| half.spool.write(request, bytes)))
                    .map_err(|_| self.io_failure())?;
                half.body.replace(Some(piece));
                half.held.set(Some(end));
                self.watch_instances();
                return Ok(None);
            }
        }
        Ok(Some(piece))
    }

    /// A piece that a filter held back and now lets go, with the place behind that filter and
    /// whether it ends the body.
    pub fn released(&self, direction: Direction) -> Option<(usize, Body, bool)> {
        for place in 0..self.count(direction) {
            let half = self.filters()[self.index(direction, place)].half(direction);
            if let Some(end) = half.held.get()
                && half.resume.replace(false)
            {
                half.held.set(None);
                return Some((place + 1, half.body.take().unwrap_or_default(), end));
            }
        }
        None
    }

    /// Notes that a file of nginx's could not be read.
    pub fn io_failure(&self) -> Stop {
        if let Some(request) = self.request() {
            let error = std::io::Error::last_os_error();
            request.log().write(
                Level::Crit,
                format_args!("[wasm] cannot read or buffer a body: {error}"),
            );
        }
        self.failed.set(true);
        Stop::Failed
    }

    /// Makes the last callbacks in all filters' contexts: done, log, delete. Later calls do
    /// nothing.
    pub fn end(&self) {
        let Some(request) = self.request() else {
            return;
        };
        self.ending.set(true);
        for filter in self.filters() {
            if let Err(error) = filter.vm.call(|vm| vm.finish(filter.id, true)) {
                report(request, &filter.vm, &error);
            }
        }
        self.wake.cancel();
        self.request.set(None);
    }
}

/// One line about a failed callback, unless an earlier one has told why the instance is dead.
fn report(request: Request, vm: &SharedVm, error: &CallError) {
    let level = match error {
        CallError::Trap { .. } => Level::Error,
        _ => Level::Info,
    };
    request
        .log()
        .write(level, format_args!("[wasm] {}: {error}", vm.name()));
}
