//! What the module keeps for one request: the contexts of its filters, and how far it is.

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::c_void;
use std::rc::Rc;

use ngx::ffi::{ngx_pool_cleanup_t, ngx_pool_t};
use proxy_wasm_host::{Action, CallError, ContextId};

use super::body::Body;
use super::chain::Chain;
use super::filter_state::FilterState;
use super::local::LocalReply;
use super::response::{self, Response, Stage, WINDOW};
use super::spool::Spool;
use super::stream::Stream;
use super::wake::Wake;
use crate::conf::{LocConf, MainConf};
use crate::nginx::log::Level;
use crate::nginx::pool;
use crate::nginx::request::Request;
use crate::worker::{SharedVm, Waiter, WorkerVm};

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

    /// So many filters of a direction's order may see the body: as in Envoy, those before the one
    /// that paused in its header callback.
    pub fn limit(&self, direction: Direction) -> usize {
        match (direction, self.stage.get(), self.response.stage()) {
            (Direction::Request, RequestStage::HeadersPaused(index), _) => index,
            (Direction::Response, _, Stage::HeadersPaused(place)) => place,
            _ => self.count(direction),
        }
    }

    /// Keeps a piece that has come to the filter that paused in its header callback.
    pub fn wait_at_limit(
        &self,
        direction: Direction,
        mut piece: Body,
        end: bool,
    ) -> Result<(), Stop> {
        let index = self.index(direction, self.limit(direction));
        let Some(filter) = self.filters().get(index) else {
            return Ok(());
        };
        let mut waiting = filter.half(direction).waiting.borrow_mut();
        let kept = match waiting.as_mut() {
            Some((body, ends)) => {
                *ends = end;
                body.append(piece)
            }
            None => piece.own().map(|()| *waiting = Some((piece, end))),
        };
        drop(waiting);
        kept.map_err(|_| self.io_failure())
    }

    /// Waits as much before the paused filter as may?
    pub fn limit_is_full(&self, direction: Direction) -> bool {
        let limit = self.limit(direction);
        limit < self.count(direction)
            && self.filters()[self.index(direction, limit)]
                .half(direction)
                .waiting
                .borrow()
                .as_ref()
                .is_some_and(|(body, end)| *end || body.len() >= WINDOW)
    }

    /// A piece that waited for header callbacks that have been made meanwhile, with the place of
    /// the filter that is to see it and whether it ends the body.
    pub fn arrived(&self, direction: Direction) -> Option<(usize, Body, bool)> {
        (0..self.limit(direction)).find_map(|place| {
            let half = self.filters()[self.index(direction, place)].half(direction);
            let (body, end) = half.waiting.take()?;
            Some((place, body, end))
        })
    }

    /// Is there a piece of the response's body that waits for header callbacks?
    pub fn response_waits(&self) -> bool {
        let mut halves = self.filters().iter().map(|filter| &filter.response);
        halves.any(|half| half.waiting.borrow().is_some())
    }

    /// Has the end of the response's body come as far as to a filter that holds it?
    pub fn has_response_end(&self) -> bool {
        self.response.trailers_are_paused()
            || self.filters().iter().any(|filter| {
                let waiting = filter.response.waiting.borrow();
                filter.response.held.get() == Some(true)
                    || waiting.as_ref().is_some_and(|(_, end)| *end)
            })
    }

    /// Forgets what filters hold of the response's body.
    pub fn drop_response_body(&self) {
        for filter in self.filters() {
            filter.response.held.set(None);
            filter.response.body.take();
            filter.response.waiting.take();
        }
    }

    /// A pause may end now; a callback that is still running is seen to when it returns.
    pub fn wake_if_paused(&self) {
        if self.request_is_paused() || self.response_is_paused() {
            self.wake.post(self);
        }
    }

    /// A guest has asked for the end of the stream: seen to when the callback returns, or by an
    /// event if it is not one of this stream's.
    pub fn stop_asked(&self) {
        if !self.running.get() {
            self.wake.post(self);
        }
    }

    /// Does a filter hold back the request's header or body?
    fn request_is_paused(&self) -> bool {
        matches!(
            self.stage.get(),
            RequestStage::HeadersPaused(_) | RequestStage::BodyPaused
        )
    }

    /// Does a filter hold back the response's header, body or trailers?
    pub fn response_is_paused(&self) -> bool {
        matches!(self.response.stage(), Stage::HeadersPaused(_))
            || self.response.trailers_are_paused()
            || self.holds_response_body()
    }

    /// Is all that is paused a body of which more is to come?
    pub fn waits_for_input(&self) -> bool {
        self.response.waits_for_input() && !self.request_is_paused() && !self.has_response_end()
    }

    /// A pause has taken too long; `false` when there is none. The log says whose it was.
    pub fn time_out(&self) -> bool {
        let (Some(request), Some((what, index))) = (self.request(), self.paused()) else {
            return false;
        };
        self.timed_out.set(true);
        let name = self
            .filters()
            .get(index)
            .map_or("", |filter| filter.vm.name());
        request.log().write(
            Level::Error,
            format_args!(
                "[wasm] {name}: paused the {what} for longer than wasm_pause_timeout ({} ms)",
                LocConf::of(request).pause_timeout()
            ),
        );
        true
    }

    /// What is paused, and the filter that holds it.
    fn paused(&self) -> Option<(&'static str, usize)> {
        let holder = |direction| {
            (0..self.count(direction))
                .map(|place| self.index(direction, place))
                .find(|index| self.filters()[*index].half(direction).held.get().is_some())
        };
        let response = |place| self.index(Direction::Response, place);
        match (self.stage.get(), self.response.stage()) {
            (RequestStage::HeadersPaused(index), _) => Some(("request headers", index)),
            (RequestStage::BodyPaused, _) => Some(("request body", holder(Direction::Request)?)),
            (_, Stage::HeadersPaused(place)) => Some(("response headers", response(place))),
            _ => match self.response.paused_trailers() {
                Some(place) => Some(("response trailers", response(place))),
                None => Some(("response body", holder(Direction::Response)?)),
            },
        }
    }

    /// Something may have gone on.
    pub fn check_pause(&self) {
        if !self.request_is_paused() && !self.response_is_paused() {
            self.wake.unlimit();
        }
    }

    /// Does a filter hold back a piece of the response's body?
    pub fn holds_response_body(&self) -> bool {
        let mut halves = self.filters().iter().map(|filter| &filter.response);
        halves.any(|half| half.held.get().is_some())
    }

    /// Something is held back: a failure of any filter's instance has to end the wait.
    pub fn watch_instances(self: &Rc<Self>) {
        if !self.watching.replace(true) {
            let waiter: Rc<dyn Waiter> = self.clone();
            for (index, filter) in self.filters().iter().enumerate() {
                let watched = |earlier: &Filter| earlier.vm.is(&filter.vm);
                if !self.filters()[..index].iter().any(watched) {
                    filter.vm.watch(Rc::downgrade(&waiter));
                }
            }
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

impl Waiter for Context {
    fn instance_failed(&self) {
        // A request that goes on finds out by its next callback.
        let paused = self.request_is_paused() || self.response_is_paused();
        if self.request().is_some() && paused {
            self.failed.set(true);
            self.wake.post(self);
        }
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

/// Stores the context in the request, to be dropped with its pool.
fn attach(request: Request, context: &Rc<Context>) -> Option<()> {
    let data = Rc::into_raw(context.clone());
    // SAFETY: `release` takes this reference back when the pool goes, once.
    unsafe {
        if pool::on_destroy(request.pool(), release, data.cast_mut().cast()).is_null() {
            drop(Rc::from_raw(data));
            return None;
        }
    }
    request.set_module_ctx(crate::module(), data.cast_mut());
    Some(())
}

/// Pool clean-up: drops the pool's reference. The log phase has ended the contexts; should it
/// not have run, they end here without a request, whose memory is on its way out.
unsafe extern "C" fn release(data: *mut c_void) {
    crate::guard((), || {
        // SAFETY: `data` is the reference that `attach` gave to the pool.
        let context = unsafe { Rc::from_raw(data.cast::<Context>()) };
        if context.request.take().is_some() {
            context.wake.cancel();
            for filter in context.filters() {
                // Nothing can be logged for the request any more.
                let _ = filter.vm.call(|vm| vm.finish(filter.id, false));
            }
        }
    });
}

/// The request's context that has not ended, found again where nginx has cleared the module's
/// slot.
pub fn find(request: Request) -> Option<Rc<Context>> {
    let data: *const Context = request.module_ctx(crate::module());
    if !data.is_null() {
        // SAFETY: the slot holds what `attach` put there, and the pool its reference.
        let context = unsafe {
            Rc::increment_strong_count(data);
            Rc::from_raw(data)
        };
        return context.request().is_some().then_some(context);
    }
    if !request.contexts_were_cleared() {
        return None;
    }
    let context = all(request.pool()).find(|context| context.request() == Some(request))?;
    request.set_module_ctx(crate::module(), Rc::as_ptr(&context).cast_mut());
    Some(context)
}

/// Ends the contexts of a request before it gets others, or none.
pub fn detach(request: Request, context: &Context) {
    context.end();
    response::drop_queue(context, request);
    request.set_module_ctx::<c_void>(crate::module(), std::ptr::null_mut());
}

/// The contexts of a main request and of its subrequests, which share its pool.
pub fn all(pool: *mut ngx_pool_t) -> impl Iterator<Item = Rc<Context>> {
    // SAFETY: clean-ups live as long as the pool; one with our handler holds a context.
    let mut next: *mut ngx_pool_cleanup_t = unsafe { (*pool).cleanup };
    std::iter::from_fn(move || {
        loop {
            // SAFETY: as above.
            unsafe {
                let cleanup = next.as_ref()?;
                next = cleanup.next;
                let ours = cleanup
                    .handler
                    .is_some_and(|h| std::ptr::fn_addr_eq(h, release as unsafe extern "C" fn(_)));
                if ours {
                    let data: *const Context = cleanup.data.cast_const().cast();
                    Rc::increment_strong_count(data);
                    return Some(Rc::from_raw(data));
                }
            }
        }
    })
}
