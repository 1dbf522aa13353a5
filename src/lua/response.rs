//! A response's header and body through a filter, as Lua's code shows them to it. Lua's code cannot wait there.

use std::rc::Rc;

use proxy_wasm_host::Action;

use crate::filter::chain::context::Context;
use crate::filter::chain::guest::Callback;
use crate::filter::chain::stage::{Direction, ResponseStage, Stop};
use crate::lua::answer::Answer;
use crate::lua::plugins::PluginContext;
use crate::lua::streams::{Driven, find_or_create, has_calls};
use crate::message::body::Body;
use crate::message::headers::response as headers;
use crate::message::next;
use crate::nginx::request::Request;

const RESPONSE: Direction = Direction::Response;

/// The header callback. A response of the filter's own takes the place of the request's.
pub fn headers(request: Request, plugin: &Rc<PluginContext>) -> Answer {
    let Some(context) = find_or_create(request, plugin, false) else {
        return Answer::Failed;
    };
    match run_headers(&context, request, plugin) {
        Ok(true) => Answer::Done,
        Ok(false) => {
            let error = "paused the response headers, which Lua's code cannot wait with";
            plugin.plugin.complain(request.log(), error);
            Answer::Failed
        }
        Err(Stop::LocalReply) => match replace(&context, request) {
            Some(()) => Answer::Done,
            None => Answer::Failed,
        },
        Err(_) => Answer::Failed,
    }
}

/// `false`: the filter waits for something.
fn run_headers(
    context: &Rc<Context>,
    request: Request,
    plugin: &PluginContext,
) -> Result<bool, Stop> {
    begin(context, request);
    context.stops.check()?;
    if !context.chain.callbacks[0].response_headers() {
        return Ok(true);
    }
    let response = &context.response;
    let end = response.is_bodiless(request) || response.length() == Some(0);
    let callback = Callback::Headers(RESPONSE, headers::count(request), end);
    response.stage.set(ResponseStage::Headers);
    let result = context.callback(RESPONSE, 0, callback);
    response.stage.set(ResponseStage::Sent);
    context.wake.unlimit();
    // One that wants to see the body first is shown that next.
    let waits = result? != Action::Continue && (end || has_calls(context, plugin));
    Ok(!waits)
}

/// The response has come.
fn begin(context: &Context, request: Request) {
    let response = &context.response;
    if response.stage() == ResponseStage::New {
        response.length.set(request.response_length());
        response.expected.set(request.response_length());
        response.bodiless.set(request.status_is_bodiless());
        response.stage.set(ResponseStage::Sent);
    }
}

/// The filter's response in place of the request's, whose body is dropped when it comes.
fn replace(context: &Context, request: Request) -> Option<()> {
    let link = context.stops.take_reply()?.prepare(request).ok()?;
    let driven = Driven::of(context)?;
    driven.replaced.set(true);
    next::replace_body(request, link);
    Some(())
}

/// The body callback for a piece of the body; `end`: it is the last one. What comes of it is for Lua's code to take.
pub fn body(request: Request, plugin: &Rc<PluginContext>, piece: &[u8], end: bool) -> Answer {
    let Some(context) = find_or_create(request, plugin, false) else {
        return cut_off(request);
    };
    let Some(driven) = Driven::of(&context) else {
        return cut_off(request);
    };
    if driven.replaced.get() {
        return Answer::Done;
    }
    begin(&context, request);
    if run_body(&context, driven, piece, end).is_err() {
        return cut_off(request);
    }
    let held = context.filters()[0].response.held.get().is_some();
    let output = driven.response.borrow();
    let error = match (held, end) {
        (true, true) => "holds the end of the response's body, which Lua's code cannot wait with",
        (false, _) if request.response_length().is_some() && output.has_other_length() => {
            "changed the length of the response's body, whose Content-Length has been sent: Lua's code must clear that in \
             header_filter_by_lua"
        }
        _ if output.is_changed() => return Answer::Changed,
        _ => {
            drop(output);
            driven.response.borrow_mut().drop_bytes();
            return Answer::Done;
        }
    };
    plugin.plugin.complain(request.log(), error);
    cut_off(request)
}

fn run_body(context: &Rc<Context>, driven: &Driven, piece: &[u8], end: bool) -> Result<(), Stop> {
    context.stops.check()?;
    while let Some((_, body, _)) = context.due(RESPONSE) {
        let mut output = driven.response.borrow_mut();
        output.add(body, None).map_err(|_| Stop::Failed)?;
    }
    driven.response.borrow_mut().take_in(piece, end);
    let body = Body::made_of(piece.to_vec());
    let passed = context.pass_body(RESPONSE, 0, body, end)?;
    context.wake.unlimit();
    let mut output = driven.response.borrow_mut();
    match passed {
        Some(body) => output.add(body, Some(piece)).map_err(|_| Stop::Failed),
        None => {
            output.hold();
            Ok(())
        }
    }
}

/// What has been sent cannot be taken back: nothing follows, and the client is not made believe that it has all.
fn cut_off(request: Request) -> Answer {
    request.abort();
    Answer::Failed
}
