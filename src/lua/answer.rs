//! What a call of Lua's code comes to.

use std::ffi::c_int;

use crate::filter::chain::context::Context;
use crate::filter::chain::stage::Stop;
use crate::lua::streams::Driven;
use crate::nginx::request::Request;

/// What Lua's code is to do. Its numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Answer {
    /// It goes on.
    Done = 0,
    /// It waits, and asks again then.
    Wait = 1,
    /// The filter answers: Lua's code sends that and ends the request.
    Local = 2,
    /// The filter closes the stream: Lua's code ends the request.
    Close = 3,
    /// It goes on with another body, or another piece of it.
    Changed = 4,
    /// The filter has failed; the log says why.
    Failed = -1,
    /// There is no request to call a filter for.
    NoRequest = -2,
}

impl From<Answer> for c_int {
    fn from(answer: Answer) -> c_int {
        answer as c_int
    }
}

/// The filter ends the request's way.
pub fn stopped(context: &Context, stop: Stop) -> Answer {
    context.wake.unlimit();
    context.stops.seen_to();
    match stop {
        Stop::LocalReply => Answer::Local,
        Stop::Close => Answer::Close,
        // Said already, each where it was found.
        Stop::Failed | Stop::CutOff | Stop::TimedOut | Stop::OverLimit(_) | Stop::Unsendable(_) => {
            Answer::Failed
        }
    }
}

/// Makes the filter's response the request's, and keeps its body for Lua's code, which sends both. The result is its status.
pub fn take_reply(context: &Context, request: Request) -> Option<usize> {
    let reply = context.stops.take_reply()?;
    let body = reply.begin(request).ok()?;
    Driven::of(context)?.reply.replace(body);
    Some(request.status())
}
