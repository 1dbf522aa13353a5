//! What filters change in the headers of a request and its response.

use proxy_wasm_host::Status;

use crate::filter::chain::context::Context;
use crate::filter::chain::context::unsendable::Unsendable;
use crate::filter::chain::stage::{Direction, RequestStage};
use crate::nginx::request::Request;

/// A map of lines that filters change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    Request,
    Response,
    ResponseTrailers,
}

impl Lines {
    fn direction(self) -> Direction {
        match self {
            Lines::Request => Direction::Request,
            Lines::Response | Lines::ResponseTrailers => Direction::Response,
        }
    }
}

impl Context {
    /// Can a change still have an effect? One of the request's headers until the filters have passed the request on, one of
    /// the response's until its header has been, and one of its trailers until the end of its body has.
    pub fn takes_change(&self, lines: Lines) -> bool {
        if self.life.ending.get() {
            return false;
        }
        match lines {
            Lines::Request => {
                self.incoming.stage.get() != RequestStage::Done && self.response.takes_request()
            }
            Lines::Response => self.response.takes_headers(),
            Lines::ResponseTrailers => self.response.takes_trailers(),
        }
    }

    /// Applies a filter's change, of so many bytes, if it can still have an effect; header lines of the request are derived
    /// values elsewhere. `BadArgument`: it cannot, or what is written cannot be sent.
    pub fn change_lines(
        &self,
        index: usize,
        lines: Lines,
        bytes: usize,
        change: impl FnOnce(Request) -> Result<(), Status>,
    ) -> Result<(), Status> {
        if !self.takes_change(lines) {
            return Err(Status::BadArgument);
        }
        if lines == Lines::Request {
            self.incoming.changed.set(true);
        }
        self.write(index, lines.direction(), bytes, |request| {
            let result = change(request);
            if lines == Lines::Request {
                self.request_was_changed(request);
            }
            result
        })
    }

    /// The same. As in Envoy, a line of this name that cannot be sent is no matter of the guest's status, which most would
    /// pass over or trap at: the message does not go on without it. A trailer comes too late for that.
    pub fn change_or_refuse(
        &self,
        index: usize,
        lines: Lines,
        name: &[u8],
        bytes: usize,
        change: impl FnOnce(Request) -> Result<(), Status>,
    ) -> Result<(), Status> {
        self.change_lines(index, lines, bytes, |request| match change(request) {
            Err(Status::BadArgument) => {
                let what = match lines {
                    Lines::ResponseTrailers => Unsendable::Trailer,
                    _ => Unsendable::Header(lines.direction()),
                };
                self.refuse(index, what, name);
                Ok(())
            }
            result => result,
        })
    }
}
