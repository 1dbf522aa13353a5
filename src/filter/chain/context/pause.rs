//! What filters of a request hold back, and what may end that.

use std::rc::Rc;

use crate::conf::location::LocConf;
use crate::filter::chain::context::Context;
use crate::filter::chain::filter::Filter;
use crate::filter::chain::stage::{Direction, RequestStage, ResponseStage, Stop};
use crate::message::body::{Body, WINDOW};
use crate::nginx::log::Level;
use crate::worker::modules::Waiter;

impl Context {
    /// So many filters of a direction's order may see the body: as in Envoy, those before the one
    /// that paused in its header callback, and that one if it has stopped the header alone.
    pub fn limit(&self, direction: Direction) -> usize {
        match self.paused_header(direction) {
            None => self.count(direction),
            Some(place) => {
                let filter = &self.filters()[self.index(direction, place)];
                place + usize::from(filter.half(direction).iterates.get())
            }
        }
    }

    /// Keeps a piece that has come to the filter that paused in its header callback.
    pub fn wait_at_limit(&self, direction: Direction, piece: Body, end: bool) -> Result<(), Stop> {
        let index = self.index(direction, self.limit(direction));
        let Some(filter) = self.filters().get(index) else {
            return Ok(());
        };
        self.buffers.any_held.set(true);
        let kept = filter.wait(direction, piece, end);
        kept.map_err(|_| self.io_failure())?;
        self.check_held(direction, index, 0)
    }

    /// Waits as much before the paused filter as may?
    pub fn limit_is_full(&self, direction: Direction) -> bool {
        let limit = self.limit(direction);
        limit < self.count(direction)
            && self.filters()[self.index(direction, limit)]
                .look_at_waiting(direction, |body, end| end || body.len() >= WINDOW)
                .unwrap_or(false)
    }

    /// Has a filter held back some of a body, or some waited for one's header callback?
    pub fn has_held(&self) -> bool {
        self.buffers.any_held.get()
    }

    /// Is there a piece of the response's body that waits for header callbacks?
    pub fn response_waits(&self) -> bool {
        let mut filters = self.filters().iter();
        self.buffers.any_held.get()
            && filters.any(|filter| filter.is_waited_for(Direction::Response))
    }

    /// Has the end of the response's body come as far as to a filter that holds it?
    pub fn has_response_end(&self) -> bool {
        self.response.trailers_are_paused()
            || self.filters().iter().any(|filter| {
                let waiting = filter.look_at_waiting(Direction::Response, |_, end| end);
                filter.response.held.get() == Some(true) || waiting == Some(true)
            })
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
        if !self.life.running.get() {
            self.wake.post(self);
        }
    }

    /// Does a filter hold back the request's header or body?
    pub fn request_is_paused(&self) -> bool {
        matches!(
            self.incoming.stage.get(),
            RequestStage::HeadersPaused(_) | RequestStage::BodyPaused
        ) || self.holds_upload()
    }

    /// Does a filter hold back the response's header, body or trailers?
    pub fn response_is_paused(&self) -> bool {
        matches!(self.response.stage(), ResponseStage::HeadersPaused(_))
            || self.response.trailers_are_paused()
            || self.holds_response_body()
    }

    /// Has the response's header been sent, and no filter sees more of it?
    pub fn is_let_through(&self) -> bool {
        self.response.stage() == ResponseStage::Sent && !self.chain.response_body
    }

    /// Is all that is paused a body of which more is to come?
    pub fn waits_for_input(&self) -> bool {
        let (request, response) = (self.request_is_paused(), self.response_is_paused());
        let of_response = (self.response.waits_for_input() || self.response_header_waits())
            && !self.has_response_end();
        (request || response)
            && (!request || self.upload_waits() || self.request_header_waits())
            && (!response || of_response)
    }

    /// A pause has taken too long; `false` when there is none. The log says whose it was.
    pub fn time_out(&self) -> bool {
        let (Some(request), Some((what, index))) = (self.request(), self.paused()) else {
            return false;
        };
        self.stops.time_out();
        let name = self.filter_name(index);
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
        match (self.incoming.stage.get(), self.response.stage()) {
            (RequestStage::HeadersPaused(index), _) => Some(("request headers", index)),
            (RequestStage::BodyPaused, _) => Some(("request body", holder(Direction::Request)?)),
            (RequestStage::Streaming, _) if self.holds_upload() && !self.upload_waits() => {
                Some(("request body", holder(Direction::Request)?))
            }
            (_, ResponseStage::HeadersPaused(place)) => Some(("response headers", response(place))),
            _ => match self.response.paused_trailers() {
                Some(place) => Some(("response trailers", response(place))),
                None => Some(("response body", holder(Direction::Response)?)),
            },
        }
    }

    /// Something may have gone on.
    pub fn check_pause(&self) {
        if self.wake.is_used() && !self.request_is_paused() && !self.response_is_paused() {
            self.wake.unlimit();
        }
    }

    /// Does a filter hold back a piece of the response's body?
    pub fn holds_response_body(&self) -> bool {
        let mut halves = self.filters().iter().map(|filter| &filter.response);
        self.buffers.any_held.get() && halves.any(|half| half.held.get().is_some())
    }

    /// Something is held back: a failure of any filter's instance has to end the wait.
    pub fn watch_instances(self: &Rc<Self>) {
        if !self.life.watching.replace(true) {
            let waiter: Rc<dyn Waiter> = self.clone();
            let all = self.filters();
            for (index, guest) in all
                .iter()
                .enumerate()
                .filter_map(|(i, f)| Some((i, f.guest()?)))
            {
                let watched =
                    |earlier: &Filter| earlier.guest().is_some_and(|e| Rc::ptr_eq(e, guest));
                if !all[..index].iter().any(watched) {
                    guest.watch(Rc::downgrade(&waiter));
                }
            }
        }
    }
}

impl Waiter for Context {
    fn instance_failed(&self) {
        // A request that goes on finds out by its next callback; of one that is running now, its caller.
        let paused = self.request_is_paused() || self.response_is_paused();
        if self.request().is_some() && paused && !self.life.running.get() && self.skip_dead() {
            self.wake.post(self);
        }
    }
}
