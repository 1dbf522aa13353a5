//! What a process keeps for all chains of filters.

use std::cell::OnceCell;
use std::rc::Rc;

use crate::filter::chain::context::Context;
use crate::filter::chain::filter::FilterList;
use crate::filter::chain::upstream::balancer::Balancers;
use crate::filter::chain::wake::Handlers;
use crate::nginx::request::Request;
use crate::worker::process::Main;

/// Makes contexts in the instances of a worker.
pub trait Guests {
    /// A context in the instance of each filter of the chain, in their order. Where one is not to be had, the log has
    /// said why: with `on_failure=open` the filter is there without one, otherwise the list ends before it.
    ///
    /// `headers_follow`: the request's header callbacks are made next.
    fn contexts(&self, context: &Rc<Context>, request: Request, headers_follow: bool)
    -> FilterList;

    /// The worker exits.
    fn shutdown(&self);
}

/// Made while the configuration is read; workers add their guests.
pub struct Chains {
    /// The upstreams whose servers filters choose; none where no filter can.
    pub balancers: Balancers,
    /// How a request goes on.
    pub handlers: &'static Handlers,
    guests: OnceCell<Box<dyn Guests>>,
}

impl Chains {
    pub fn new(balancers: Balancers, handlers: &'static Handlers) -> Chains {
        Chains {
            balancers,
            handlers,
            guests: OnceCell::new(),
        }
    }

    /// Those of the configuration that the request runs under.
    pub fn of<'a>(request: Request) -> Option<&'a Chains> {
        Main::of(request)?.process.kept()
    }

    /// This process's guests; there are none in a process that serves no requests.
    pub fn guests(&self) -> Option<&dyn Guests> {
        self.guests.get().map(Box::as_ref)
    }

    /// Keeps the guests of this process.
    pub fn set_guests(&self, guests: impl Guests + 'static) {
        // A process starts once for each configuration.
        let _ = self.guests.set(Box::new(guests));
    }
}
