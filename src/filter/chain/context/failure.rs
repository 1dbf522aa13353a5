//! What becomes of the request when one of its filters fails.

use proxy_wasm_host::CallError;

use crate::conf::main::MainConf;
use crate::conf::policy::OnFailure;
use crate::filter::chain::context::Context;
use crate::filter::chain::filter::Filter;
use crate::filter::chain::guest::{Failure, Guest};
use crate::nginx::log::Level;
use crate::nginx::request::Request;

impl Context {
    /// The name of a filter's module in the configuration.
    pub fn filter_name(&self, index: usize) -> &str {
        if let Some(guest) = self.filters().get(index).and_then(Filter::guest) {
            return guest.name();
        }
        let conf = self.request().and_then(MainConf::of);
        let id = self.chain.filters.get(index).copied();
        match (conf, id) {
            (Some(conf), Some(id)) if id < conf.filters.len() => &conf.module_of(id).name,
            _ => "",
        }
    }

    /// A callback of this filter has failed.
    pub fn filter_failed(&self, index: usize, error: &Failure) {
        let Some(filter) = self.filters().get(index) else {
            return;
        };
        if let (Some(request), Some(guest)) = (self.request(), filter.guest()) {
            report(request, &**guest, error, self.chain.on_failure[index]);
        }
        self.give_up(index);
        if !self.stops.has_failed() && self.skip_dead() {
            self.wake_if_paused();
        }
    }

    /// The request goes on without this filter, or not at all.
    fn give_up(&self, index: usize) {
        match self.chain.on_failure[index] {
            OnFailure::Open => self.filters()[index].skipped.set(true),
            OnFailure::Closed => match self.filters()[index].guest() {
                Some(guest) => guest.end_request(&self.stops),
                None => self.stops.fail(),
            },
        }
    }

    /// Gives up the filters whose instances have failed; were there any?
    pub fn skip_dead(&self) -> bool {
        let mut any = false;
        for (index, filter) in self.filters().iter().enumerate() {
            if let (Some(request), Some((guest, _))) = (self.request(), filter.instance())
                && !guest.is_alive()
            {
                report(
                    request,
                    &**guest,
                    &CallError::Poisoned.into(),
                    self.chain.on_failure[index],
                );
                self.give_up(index);
                any = true;
            }
        }
        any
    }
}

/// One line about a failed callback: an error for each trap. That the instance had failed before, for
/// which there is a line already, is worth a warning where it costs the request.
pub fn report(request: Request, guest: &dyn Guest, error: &Failure, policy: OnFailure) {
    let level = match (error, policy) {
        (Failure::Call(CallError::Trap { .. }) | Failure::NoInstance, _) => Level::Error,
        (_, OnFailure::Closed) => Level::Warn,
        (_, OnFailure::Open) => Level::Info,
    };
    request
        .log()
        .write(level, format_args!("[wasm] {}: {error}", guest.name()));
}
