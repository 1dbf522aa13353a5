//! How far a request and its response are, and why they end.

use ngx::ffi::{NGX_HTTP_BAD_GATEWAY, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE};
use proxy_wasm_host::Callbacks;

/// DirectionState of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
}

impl Direction {
    pub fn name(self) -> &'static str {
        match self {
            Direction::Request => "request",
            Direction::Response => "response",
        }
    }

    /// Is there a callback for its body?
    #[inline]
    pub fn body_callback(self, callbacks: Callbacks) -> bool {
        match self {
            Direction::Request => callbacks.request_body(),
            Direction::Response => callbacks.response_body(),
        }
    }

    /// The status for one that is over `wasm_buffer_size`.
    pub fn over_limit(self) -> u32 {
        match self {
            Direction::Request => NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
            Direction::Response => NGX_HTTP_BAD_GATEWAY,
        }
    }
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
    /// More than `wasm_buffer_size` of the request's or the response's.
    OverLimit(Direction),
    /// A filter has written a header that cannot be sent.
    Unsendable(Direction),
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
    /// The header callbacks are done, and those of the body are made while nginx's content handler
    /// reads it (see [`Upload`]).
    Streaming,
    Done,
}

/// How far the response is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseStage {
    /// There are no response headers yet.
    #[default]
    New,
    /// The header callbacks are being made.
    Headers,
    /// The filter at this place paused in its header callback.
    HeadersPaused(usize),
    /// The header callbacks are done; the header waits for the first piece of the body.
    HeadersHeld,
    /// The header has been passed on.
    Sent,
    /// The filters have nothing more to do with this response.
    Passing,
    /// A filter's own response has been sent; what comes from upstream is dropped.
    Discarding,
}
