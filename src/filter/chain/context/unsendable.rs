//! What filters write and nginx cannot send.

use ngx::ffi::{NGX_HTTP_BAD_GATEWAY, NGX_HTTP_SERVICE_UNAVAILABLE};

use crate::filter::chain::context::Context;
use crate::filter::chain::stage::{Direction, RequestStage, ResponseStage};
use crate::nginx::log::{Level, printable};

/// A line that a filter has written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unsendable {
    Header(Direction),
    Trailer,
}

impl Direction {
    /// Envoy's status for a message that it cannot send.
    pub fn unsendable(self) -> u32 {
        match self {
            Direction::Request => NGX_HTTP_SERVICE_UNAVAILABLE,
            Direction::Response => NGX_HTTP_BAD_GATEWAY,
        }
    }
}

impl Context {
    /// A filter has written a header of this name that cannot be sent (no name: one of a whole map). If it would
    /// have been sent yet, the request ends; a trailer is left out.
    pub fn refuse(&self, index: usize, what: Unsendable, name: &[u8]) {
        let (of, outcome) = match what {
            Unsendable::Header(direction) if self.is_before(direction) => {
                self.stops.refuse(direction);
                self.stop_asked();
                let outcome = format!("the request ends with {}", direction.unsendable());
                (direction.name(), outcome)
            }
            Unsendable::Header(_) => return,
            Unsendable::Trailer => ("response's trailers", "it is left out".to_owned()),
        };
        if self.stops.unsendable_is_new()
            && let Some(request) = self.request()
        {
            let (filter, name) = (self.filter_name(index), printable(name));
            let format = format_args!(
                "[wasm] {filter}: wrote a header of the {of} that cannot be sent: \"{name}\"; {outcome}"
            );
            request.log().write(Level::Error, format);
        }
    }

    /// Is the header of the request, or of the response, still to be used?
    fn is_before(&self, direction: Direction) -> bool {
        match direction {
            Direction::Request => self.incoming.stage.get() != RequestStage::Done,
            Direction::Response => matches!(
                self.response.stage(),
                ResponseStage::Headers
                    | ResponseStage::HeadersPaused(_)
                    | ResponseStage::HeadersHeld
            ),
        }
    }

    /// A filter's local response has a status that cannot be sent.
    pub fn status_refused(&self, index: usize, status: u32) {
        if let Some(request) = self.request() {
            let filter = self.filter_name(index);
            request.log().write(
                Level::Error,
                format_args!(
                    "[wasm] {filter}: sent a local response with the status {status}, which cannot be sent; it \
                     becomes 500"
                ),
            );
        }
    }
}
