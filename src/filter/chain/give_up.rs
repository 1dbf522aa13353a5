//! A request whose callbacks end before their time.

use ngx::ffi::{
    NGX_HTTP_CLOSE, NGX_HTTP_GATEWAY_TIME_OUT, NGX_HTTP_INTERNAL_SERVER_ERROR,
    NGX_HTTP_SERVICE_UNAVAILABLE, ngx_http_finalize_request, ngx_int_t,
};

use crate::filter::chain::context::Context;
use crate::filter::chain::stage::{Direction, RequestStage, Stop};
use crate::filter::chain::upload;
use crate::message::headers::request as headers;
use crate::nginx::DONE;
use crate::nginx::log::Level;
use crate::nginx::request::Request;

/// The request's callbacks are over before their time: a filter ends the request, or nginx answers it, as where
/// it cannot read the body. Whoever gets the request now, as an error page's upstream may, gets all of its
/// body or nothing of it.
#[inline]
pub fn give_up(context: &Context, request: Request) {
    let stage = context.incoming.stage.replace(RequestStage::Done);
    if stage != RequestStage::Done {
        give_up_at(context, request, stage);
    }
}

fn give_up_at(context: &Context, request: Request, stage: RequestStage) {
    context.wake.unlimit();
    context.drop_body(Direction::Request);
    let streams = stage == RequestStage::Streaming && request.body_is_read();
    if streams || context.incoming.body_read.get() == Some(false) {
        context.incoming.body_read.set(None);
        match streams {
            true => upload::wake::leave(request),
            false => request.leave_body(),
        }
        // Without memory for the line, the upstream waits for a body until it times out.
        let _ = headers::set_body_length(request, &context.incoming.lines, 0);
    }
}

/// The filters end the request: by a local response, by closing, or by failing.
pub fn stopped(context: &Context, request: Request, stop: Stop) -> ngx_int_t {
    give_up(context, request);
    context.stops.seen_to();
    let rc = match stop {
        Stop::LocalReply => match context.stops.take_reply() {
            Some(reply) => reply.respond(request),
            None => NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t,
        },
        Stop::Close => {
            request.log().write(
                Level::Info,
                format_args!("[wasm] a filter closed the stream"),
            );
            NGX_HTTP_CLOSE as ngx_int_t
        }
        Stop::TimedOut => NGX_HTTP_GATEWAY_TIME_OUT as ngx_int_t,
        Stop::OverLimit(direction) => direction.over_limit() as ngx_int_t,
        Stop::Unsendable(direction) => direction.unsendable() as ngx_int_t,
        Stop::Failed => context.stops.failure() as ngx_int_t,
        Stop::CutOff => NGX_HTTP_SERVICE_UNAVAILABLE as ngx_int_t,
    };
    // The access phase would take some of these results for a verdict.
    // SAFETY: the request is live until it is finalized, and not used after.
    unsafe { ngx_http_finalize_request(request.as_ptr(), rc) };
    DONE
}
