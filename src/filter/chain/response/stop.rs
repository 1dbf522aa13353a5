//! A response that its filters end.

use std::rc::Rc;

use ngx::ffi::ngx_int_t;

use crate::filter::chain::context::Context;
use crate::filter::chain::response::window::drop_queue;
use crate::filter::chain::stage::{ResponseStage, Stop};
use crate::message::local::LocalReply;
use crate::message::next;
use crate::nginx::log::Level;
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK};

/// The filters stop this response: by a response of their own where the header is not yet sent.
pub fn stopped(context: &Rc<Context>, request: Request, stop: Stop) -> ngx_int_t {
    let response = &context.response;
    let stage = response.stage.replace(ResponseStage::Discarding);
    drop_queue(context, request);
    context.stops.seen_to();
    let reply = match stop {
        Stop::LocalReply => context.stops.take_reply(),
        Stop::Failed => Some(LocalReply::failure(context.stops.failure())),
        Stop::CutOff => Some(LocalReply::failure(502)),
        Stop::TimedOut => Some(LocalReply::failure(504)),
        Stop::OverLimit(direction) => Some(LocalReply::failure(direction.over_limit())),
        Stop::Unsendable(direction) => Some(LocalReply::failure(direction.unsendable())),
        Stop::Close => None,
    };
    let upgrading = request.forget_upgrade();
    let unsent = matches!(
        stage,
        ResponseStage::Headers | ResponseStage::HeadersPaused(_) | ResponseStage::HeadersHeld
    );
    // A slice stands in the middle of a response whose header has been sent.
    let unsent = unsent && !request.is_clone();
    match reply {
        Some(reply) if unsent => {
            let rc = replace(request, reply);
            // The upstream of a tunnel has no end that nginx would wait for.
            if upgrading { ERROR } else { rc }
        }
        Some(_) if matches!(stop, Stop::LocalReply) => {
            request.log().write(
                Level::Error,
                format_args!(
                    "[wasm] a filter's local response came after the response headers were sent; \
                     the connection is closed"
                ),
            );
            ERROR
        }
        _ => ERROR,
    }
}

/// Sends a local response instead of the upstream's.
pub fn replace(request: Request, reply: LocalReply) -> ngx_int_t {
    let Ok(mut body) = reply.prepare(request) else {
        return ERROR;
    };
    let rc = next::header(request);
    // SAFETY: the request is live.
    if rc == ERROR || rc > OK || unsafe { (*request.as_ptr()).header_only() } != 0 {
        return rc;
    }
    let rc = next::body(request, &mut body);
    request.end_upstream();
    match rc {
        ERROR => ERROR,
        _ => OK,
    }
}
