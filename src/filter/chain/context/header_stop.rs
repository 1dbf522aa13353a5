//! Headers that wait for a filter. One that has stopped the header alone (Envoy's `StopIteration`) sees the
//! body meanwhile, and lets both go with the first piece that it lets go.

use proxy_wasm_host::Action;

use crate::conf::policy::HeaderStop;
use crate::filter::chain::context::Context;
use crate::filter::chain::filter::DirectionState;
use crate::filter::chain::stage::{Direction, RequestStage, ResponseStage};

impl Context {
    /// A header callback has answered; `end`: there is no body. Does the header wait for its filter?
    pub fn header_waits(
        &self,
        direction: Direction,
        index: usize,
        action: Action,
        end: bool,
    ) -> bool {
        if action == Action::Continue {
            return false;
        }
        let alone = self.chain.header_stop[index] == HeaderStop::Iteration;
        let iterates = action == Action::Pause && alone && !end;
        let half = self.filters()[index].half(direction);
        half.iterates.set(iterates);
        if iterates {
            self.buffers.any_held.set(true);
        }
        true
    }

    /// The place of the filter that the header waits for.
    pub fn paused_header(&self, direction: Direction) -> Option<usize> {
        match (direction, self.incoming.stage.get(), self.response.stage()) {
            (Direction::Request, RequestStage::HeadersPaused(index), _) => Some(index),
            (Direction::Response, _, ResponseStage::HeadersPaused(place)) => Some(place),
            _ => None,
        }
    }

    /// Does the header wait for a filter that sees the body meanwhile?
    pub fn header_iterates(&self, direction: Direction) -> bool {
        self.paused_header(direction).is_some_and(|place| {
            let filter = &self.filters()[self.index(direction, place)];
            filter.half(direction).iterates.get()
        })
    }

    /// The place of the filter that the header has waited for, when it may go on: what the filter has put
    /// into the body takes the header with it.
    pub fn header_let_go(&self, direction: Direction) -> Option<usize> {
        let place = self.paused_header(direction)?;
        let filter = &self.filters()[self.index(direction, place)];
        let injected = filter.has_injected(direction);
        (injected || filter.may_go_on(direction)).then_some(place)
    }

    /// Does the header that waits for a filter go on? If that has let it go, what it holds of the
    /// body and the trailers goes on too.
    pub fn header_goes_on(&self, direction: Direction) -> bool {
        let Some(place) = self.header_let_go(direction) else {
            return false;
        };
        let half = self.filters()[self.index(direction, place)].half(direction);
        half.iterates.set(false);
        let trailers =
            self.response.paused_trailers().is_some() && direction == Direction::Response;
        if half.held.get().is_none() && !trailers {
            half.resume.set(false);
        }
        true
    }

    /// A filter has let a piece of the body go, or the trailers, and its header with that.
    pub fn body_goes_on(&self, half: &DirectionState) {
        if half.iterates.get() {
            half.resume.set(true);
        }
    }

    /// Does the request's header wait for a filter that has not got all of the body, which nginx reads?
    pub fn request_header_waits(&self) -> bool {
        self.incoming.body_read.get() == Some(false) && self.header_iterates(Direction::Request)
    }

    /// Does the response's header wait for a filter that has got all that has come of the body?
    pub fn response_header_waits(&self) -> bool {
        self.header_iterates(Direction::Response) && self.response.has_no_input()
    }
}
