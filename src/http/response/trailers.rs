//! The trailers of a response, behind the last byte of its body.

use std::rc::Rc;

use ngx::ffi::ngx_int_t;

use super::output::send_piece;
use crate::http::body::Body;
use crate::http::context::{Context, Direction, Stop};
use crate::http::headers::response as headers;
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK};

/// Are there response trailers, and a filter that sees them?
pub(super) fn has_trailers(context: &Context, request: Request) -> bool {
    let mut any = false;
    headers::trailers::visit(request, &mut |_, _| any = true);
    any && context
        .chain
        .callbacks
        .iter()
        .any(|c| c.response_trailers())
}

/// Makes the trailer callbacks from a place of the response's order on; with `made`, the first of
/// them has been made. What a filter held of the body goes on behind its callback.
pub(super) fn run_trailers(
    context: &Rc<Context>,
    request: Request,
    from: usize,
    made: bool,
) -> Result<ngx_int_t, Stop> {
    for place in from..context.count(Direction::Response) {
        let index = context.index(Direction::Response, place);
        let made = made && place == from;
        if context.chain.callbacks[index].response_trailers() && !made {
            let mut count = 0;
            headers::trailers::visit(request, &mut |_, _| count += 1);
            let go_on = context.callback(Direction::Response, index, |vm, id| {
                vm.on_response_trailers(id, count)
            })?;
            if !go_on {
                context.response.trailers.set(Some(place));
                context.watch_instances();
                return Ok(OK);
            }
        }
        let half = &context.filters()[index].response;
        if half.held.take().is_some() {
            let piece = half.body.take().unwrap_or_default();
            if let Some(piece) = context.pass_body(Direction::Response, place + 1, piece, false)? {
                let rc = send_piece(context, request, piece, false, false)?;
                if rc == ERROR || rc > OK {
                    return Ok(rc);
                }
            }
        }
    }
    send_piece(context, request, Body::default(), true, false)
}
