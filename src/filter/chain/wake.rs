//! nginx's events for a paused request: it goes on from nginx's event loop and not from within a host call, and
//! the time that a pause may take is limited.

use std::cell::OnceCell;
use std::rc::Weak;
use std::time::Duration;

use crate::conf::location::LocConf;
use crate::filter::chain::context::Context;
use crate::nginx::event::{Event, Round};
use crate::nginx::log::Log;

/// What is done when one of the events has its turn.
pub struct Handlers {
    /// A pause has ended.
    pub resume: fn(&Context),
    /// A pause of the response has begun.
    pub settle: fn(&Context),
    /// A pause takes too long.
    pub expired: fn(&Context),
}

/// The events, made for the first pause. They are taken off nginx's queues before the [`Context`] goes.
pub struct Wake {
    handlers: &'static Handlers,
    events: OnceCell<Box<Events>>,
}

struct Events {
    resume: Event,
    settle: Event,
    /// As it is not cancelable, a worker that is shutting down waits for the request, as for any other.
    limit: Event,
}

impl Wake {
    pub fn new(handlers: &'static Handlers) -> Wake {
        Wake {
            handlers,
            events: OnceCell::new(),
        }
    }

    /// Has the request go on after the current event; `context` is the one that this stands in.
    pub fn post(&self, context: &Context) {
        if let Some(log) = log_of(context) {
            self.events(context).resume.post(Round::This, log);
        }
    }

    /// A callback has returned Pause: the time that it may take begins.
    pub fn limit(&self, context: &Context) {
        if let (Some(log), Some(request)) = (log_of(context), context.request()) {
            let time = LocConf::of(request).pause_timeout();
            let time = Duration::from_millis(time as u64);
            self.events(context).limit.start(time, false, log);
        }
    }

    /// Has there been anything to wake up for? If not, nothing was paused.
    #[inline]
    pub fn is_used(&self) -> bool {
        self.events.get().is_some()
    }

    /// Nothing is paused any more.
    pub fn unlimit(&self) {
        if let Some(events) = self.events.get() {
            events.limit.cancel();
        }
    }

    /// The response, or a request body that has come, waits for a filter: nginx's timers must not take
    /// that for a client that does not read or send, or for an upstream that does not send.
    pub fn settle(&self, context: &Context) {
        if let Some(log) = log_of(context) {
            self.events(context).settle.post(Round::This, log);
        }
    }

    /// Takes all events off nginx's queues.
    pub fn cancel(&self) {
        if let Some(events) = self.events.get() {
            events.resume.cancel();
            events.settle.cancel();
            events.limit.cancel();
        }
    }

    fn events(&self, context: &Context) -> &Events {
        self.events.get_or_init(|| {
            let event = |run| of(context.this.clone(), run);
            Box::new(Events {
                resume: event(self.handlers.resume),
                settle: event(self.handlers.settle),
                limit: event(self.handlers.expired),
            })
        })
    }
}

fn of(context: Weak<Context>, run: fn(&Context)) -> Event {
    Event::new(move || {
        if let Some(context) = context.upgrade() {
            run(&context);
        }
    })
}

/// The log of the connection, which goes behind the context's end; `None`: the context has ended.
fn log_of(context: &Context) -> Option<Log> {
    // SAFETY: a live request has a connection with a log, and `cancel` is called before it ends.
    let log = |connection: *mut ngx::ffi::ngx_connection_t| unsafe { Log::new((*connection).log) };
    Some(log(context.request()?.connection()))
}
