//! The trailers of a response, behind the last byte of its body.

use std::rc::Rc;

use ngx::ffi::ngx_int_t;
use proxy_wasm_host::Action;

use crate::filter::chain::context::Context;
use crate::filter::chain::guest::Callback;
use crate::filter::chain::response::output::send_piece;
use crate::filter::chain::response::pass::{deliver, let_header_go};
use crate::filter::chain::response::state::Trailers;
use crate::filter::chain::stage::{Direction, Stop};
use crate::message::body::Body;
use crate::message::headers::response as headers;
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK};

/// Are there response trailers, and a filter that sees them?
pub fn has_trailers(context: &Context, request: Request) -> bool {
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
pub fn run_trailers(
    context: &Rc<Context>,
    request: Request,
    from: usize,
    made: bool,
) -> Result<ngx_int_t, Stop> {
    let direction = Direction::Response;
    for place in from..context.count(direction) {
        let index = context.index(direction, place);
        let made = made && place == from;
        // Trailers wait for the header callbacks.
        if place >= context.limit(direction) {
            context
                .response
                .trailers
                .set(Some(Trailers { place, made: false }));
            return Ok(OK);
        }
        if context.chain.callbacks[index].response_trailers() && !made {
            let mut count = 0;
            headers::trailers::visit(request, &mut |_, _| count += 1);
            let action = context.callback(direction, index, Callback::ResponseTrailers(count))?;
            if action != Action::Continue {
                context
                    .response
                    .trailers
                    .set(Some(Trailers { place, made: true }));
                context.watch_instances();
                return Ok(OK);
            }
        }
        let half = &context.filters()[index].response;
        let piece = half.held.take().and_then(|_| half.body.take());
        half.unseen.set(false);
        // With its trailers, a filter lets its header go.
        context.body_goes_on(half);
        if let Some(rc) = let_header_go(context, request)
            && (rc == ERROR || rc > OK)
        {
            return Ok(rc);
        }
        if let Some(piece) = piece
            && let Some(piece) = context.pass_body(direction, place + 1, piece, false)?
        {
            let rc = deliver(context, request, piece, false)?;
            if rc == ERROR || rc > OK {
                return Ok(rc);
            }
        }
    }
    send_piece(context, request, Body::default(), true, false)
}
