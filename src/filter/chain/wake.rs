//! Going on with a paused request, from nginx's event loop and not from within a host call, and the
//! time that a pause may take.

use std::cell::{OnceCell, UnsafeCell};

use ngx::ffi::{
    ngx_add_timer, ngx_del_timer, ngx_delete_posted_event, ngx_event_handler_pt, ngx_event_t,
    ngx_http_finalize_request, ngx_http_output_filter, ngx_http_run_posted_requests, ngx_int_t,
    ngx_post_event, ngx_posted_events,
};

use crate::conf::LocConf;
use crate::filter::chain::context::{Context, RequestStage};
use crate::filter::chain::response::Stage;
use crate::filter::chain::{response, upload};
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK};

/// nginx's events for a paused request, made for the first pause. They are taken off nginx's queues
/// before the [`Context`] goes.
#[derive(Default)]
pub struct Wake(OnceCell<Box<Events>>);

/// They do not move.
#[derive(Default)]
struct Events {
    /// Posted when a pause ends.
    resume: Event,
    /// Posted when a pause of the response begins.
    settle: Event,
    /// Ends a pause that takes too long. As it is not cancelable, a worker that is shutting down
    /// waits for the request, as for any other.
    limit: Event,
}

struct Event(UnsafeCell<ngx_event_t>);

impl Default for Event {
    fn default() -> Event {
        // SAFETY: a zeroed event is valid, and neither posted nor in nginx's tree of timers.
        Event(UnsafeCell::new(unsafe { std::mem::zeroed() }))
    }
}

impl Event {
    /// The event, to be handled by `handler` for `context`; `None` when its contexts have ended.
    fn prepare(
        &self,
        context: &Context,
        handler: ngx_event_handler_pt,
    ) -> Option<*mut ngx_event_t> {
        let request = context.request()?;
        let event = self.0.get();
        // SAFETY: nginx's thread is the only one; the event stays where it is.
        unsafe {
            (*event).data = (&raw const *context).cast_mut().cast();
            (*event).handler = handler;
            (*event).log = (*request.connection()).log;
        }
        Some(event)
    }

    fn post(&self, context: &Context, handler: ngx_event_handler_pt) {
        if let Some(event) = self.prepare(context, handler) {
            // SAFETY: `cancel` takes it off the queue before the context goes.
            unsafe {
                if (*event).posted() == 0 {
                    ngx_post_event(event, &raw mut ngx_posted_events);
                }
            }
        }
    }

    fn cancel(&self) {
        // SAFETY: as in `prepare`.
        unsafe {
            let event = self.0.get();
            if (*event).posted() != 0 {
                ngx_delete_posted_event(event);
            }
            if (*event).timer_set() != 0 {
                ngx_del_timer(event);
            }
        }
    }
}

impl Wake {
    /// Has the request go on after the current event; `context` is the one that this stands in.
    pub fn post(&self, context: &Context) {
        self.events().resume.post(context, Some(resume));
    }

    /// A callback has returned Pause: the time that it may take begins.
    pub fn limit(&self, context: &Context) {
        if let Some(event) = self.events().limit.prepare(context, Some(expired))
            && let Some(request) = context.request()
        {
            let time = LocConf::of(request).pause_timeout();
            // SAFETY: `cancel` takes it out of the tree before the context goes.
            unsafe { ngx_add_timer(event, time) };
        }
    }

    /// Has there been anything to wake up for? If not, nothing was paused.
    #[inline]
    pub fn is_used(&self) -> bool {
        self.0.get().is_some()
    }

    /// Nothing is paused any more.
    pub fn unlimit(&self) {
        if let Some(events) = self.0.get() {
            events.limit.cancel();
        }
    }

    /// The response, or a request body that has come, waits for a filter: nginx's timers must not take
    /// that for a client that does not read or send, or for an upstream that does not send.
    pub fn settle(&self, context: &Context) {
        self.events().settle.post(context, Some(settle));
    }

    /// Takes all events off nginx's queues.
    pub fn cancel(&self) {
        if let Some(events) = self.0.get() {
            events.resume.cancel();
            events.settle.cancel();
            events.limit.cancel();
        }
    }

    fn events(&self) -> &Events {
        self.0.get_or_init(Box::default)
    }
}

/// The context that an event stands in.
///
/// # Safety
/// nginx called the handler of one of a context's events.
unsafe fn context_of<'a>(event: *mut ngx_event_t) -> &'a Context {
    // SAFETY: the events of a context that has ended are on no queue.
    unsafe { &*(*event).data.cast_const().cast() }
}

unsafe extern "C" fn resume(event: *mut ngx_event_t) {
    // SAFETY: nginx calls this for an event of a live context.
    crate::nginx::guard::guard((), || go_on(unsafe { context_of(event) }));
}

unsafe extern "C" fn expired(event: *mut ngx_event_t) {
    crate::nginx::guard::guard((), || {
        // SAFETY: as above.
        let context = unsafe { context_of(event) };
        if context.active().is_none() {
            return;
        }
        if context.waits_for_input() {
            // The filter has all that there is; the upstream has timers of its own.
            context.wake.limit(context);
        } else if context.time_out() {
            go_on(context);
        }
    });
}

/// Has a paused response pass the filters again, then runs the request's own handler: the phases
/// for a paused request, the writer or the upstream for a response. Where nothing waits for a filter the
/// handler is not to be run: it may be what nginx is through with, as the phases that have sent a file.
fn go_on(context: &Context) {
    let Some(request) = context.active() else {
        return;
    };
    // SAFETY: the request is live until its contexts have ended.
    unsafe {
        let connection = request.connection();
        let r = request.as_ptr();
        let gone = (*connection).error() != 0;
        // While a thread reads a file for nginx (`aio`), its filters take nothing new, and say so.
        let blocked = (*(*r).main).blocked() != 0;
        if !gone
            && !blocked
            && (interrupt(context, request) || upload::wake::wake(context, request))
        {
            ngx_http_run_posted_requests(connection);
            return;
        }
        let stops = context.stops.check().is_err();
        let in_request = context.request_is_paused()
            || stops && context.stage.get() == RequestStage::ReadingBody;
        let stop = stops && context.response.is_on_its_way();
        let in_response = waits(context);
        if !in_request && !in_response && !stop {
            return;
        }
        // An upstream's handler passes on nothing where it has nothing new.
        let rc = match !gone && (stop || in_response) {
            true if stop && context.is_let_through() => match blocked {
                // nginx comes back by itself when it is not blocked any more.
                true => OK,
                false => response::end(request),
            },
            true => ngx_http_output_filter(r, std::ptr::null_mut()),
            false => OK,
        };
        if rc == ERROR || rc > OK {
            request.drop_upstream();
            ngx_http_finalize_request(r, rc);
        } else if let Some(handler) = (*r).write_event_handler {
            handler(r);
        }
        ngx_http_run_posted_requests(connection);
    }
}

/// Does the response wait for a filter, or for its module's turn?
fn waits(context: &Context) -> bool {
    let goes_on = || context.later.is_set() || context.has_injected();
    context.response_is_paused() || context.response.is_on_its_way() && goes_on()
}

/// Ends a request that waits for something else than a filter, an upstream's response say, as another
/// context's callback has asked for. `false`: it did not, or the end comes another way.
fn interrupt(context: &Context, request: Request) -> bool {
    let waits = context.stage.get() == RequestStage::Done && context.response.stage() == Stage::New;
    if !waits {
        return false;
    }
    // SAFETY: the request is live; finalizing is the last thing done with it.
    unsafe {
        let r = request.as_ptr();
        if context.stops.is_answered() && context.stops.exceeded().is_none() {
            // Without an upstream there is nothing that could be taken back: the response is
            // replaced when it comes.
            if request.waits_for_upstream()
                && request.drop_upstream()
                && let Some(reply) = context.stops.take_reply()
            {
                ngx_http_finalize_request(r, reply.respond(request));
                return true;
            }
        } else if let Some(direction) = context.stops.exceeded() {
            if request.waits_for_upstream() && request.drop_upstream() {
                context.stops.forget_exceeded();
                ngx_http_finalize_request(r, direction.over_limit() as ngx_int_t);
                return true;
            }
        } else if context.stops.is_closed() {
            request.drop_upstream();
            ngx_http_finalize_request(r, ERROR);
            return true;
        }
    }
    false
}

unsafe extern "C" fn settle(event: *mut ngx_event_t) {
    crate::nginx::guard::guard((), || {
        // SAFETY: as above.
        let context = unsafe { context_of(event) };
        if let Some(request) = context.request() {
            if waits(context) {
                request.forget_waiting_for_others();
            }
            upload::wake::settle(context, request);
        }
    });
}
