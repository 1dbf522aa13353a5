//! A request's header and body through a filter, as Lua's code shows them to it.

use std::rc::Rc;

use crate::filter::chain::context::Context;
use crate::filter::chain::guest::Callback;
use crate::filter::chain::stage::{Direction, RequestStage, Stop};
use crate::lua::answer::{Answer, stopped};
use crate::lua::plugins::PluginContext;
use crate::lua::streams::{Driven, find, find_or_create, has_calls};
use crate::message::body::Body;
use crate::message::headers::request as headers;
use crate::nginx::request::Request;
use crate::worker::process::Main;

const REQUEST: Direction = Direction::Request;

/// The header callback.
pub fn headers(request: Request, plugin: &Rc<PluginContext>) -> Answer {
    with_context(find_or_create(request, plugin, true), |context| {
        context.stops.check()?;
        let end = !has_body(request);
        let mut waits = false;
        if context.chain.callbacks[0].request_headers() {
            context.incoming.stage.set(RequestStage::Headers(0));
            let callback = Callback::Headers(REQUEST, headers::count(request), end);
            let action = context.callback(REQUEST, 0, callback)?;
            waits = context.header_waits(REQUEST, 0, action, end);
        }
        context.incoming.stage.set(match waits {
            true => RequestStage::HeadersPaused(0),
            false => RequestStage::ReadingBody,
        });
        go_on(context, request, plugin)
    })
}

/// The body callback for a piece of the body; `end`: it is the last one.
pub fn body(request: Request, plugin: &Rc<PluginContext>, piece: &[u8], end: bool) -> Answer {
    with_context(find_or_create(request, plugin, false), |context| {
        context.stops.check()?;
        let output = output_of(context)?;
        drain(context)?;
        output.incoming.borrow_mut().take_in(piece, end);
        let body = Body::made_of(piece.to_vec());
        let passed = context.pass_body(REQUEST, 0, body, end)?;
        let mut incoming = output.incoming.borrow_mut();
        match passed {
            Some(body) => incoming.add(body, Some(piece)).map_err(|_| Stop::Failed)?,
            None => incoming.hold(),
        }
        drop(incoming);
        if context.header_goes_on(REQUEST) {
            context.incoming.stage.set(RequestStage::ReadingBody);
        }
        go_on(context, request, plugin)
    })
}

/// Lua's code was woken.
pub fn resume(request: Request, plugin: &Rc<PluginContext>) -> Answer {
    with_context(find(request, plugin), |context| {
        context.stops.check()?;
        if context.header_goes_on(REQUEST) {
            context.incoming.stage.set(RequestStage::ReadingBody);
        }
        go_on(context, request, plugin)
    })
}

fn with_context(
    context: Option<Rc<Context>>,
    run: impl FnOnce(&Rc<Context>) -> Result<Answer, Stop>,
) -> Answer {
    let Some(context) = context else {
        return Answer::Failed;
    };
    run(&context).unwrap_or_else(|stop| stopped(&context, stop))
}

fn output_of(context: &Context) -> Result<&Driven, Stop> {
    Driven::of(context).ok_or(Stop::Failed)
}

fn has_body(request: Request) -> bool {
    request.is_main() && request.has_body()
}

/// What the filter has let go by now comes out.
fn drain(context: &Rc<Context>) -> Result<(), Stop> {
    let output = output_of(context)?;
    while let Some((_, body, _)) = context.due(REQUEST) {
        let mut incoming = output.incoming.borrow_mut();
        incoming.add(body, None).map_err(|_| Stop::Failed)?;
    }
    Ok(())
}

/// Lua's code goes on, or waits for the filter.
fn go_on(context: &Rc<Context>, request: Request, plugin: &PluginContext) -> Result<Answer, Stop> {
    drain(context)?;
    let mut incoming = output_of(context)?.incoming.borrow_mut();
    let header_waits = context.paused_header(REQUEST).is_some();
    let body_waits = context.filters()[0].request.held.get().is_some();
    // One that wants to see the body first is shown that next, unless it waits for something else.
    let wants_more = match header_waits {
        true => {
            context.header_iterates(REQUEST) && has_body(request) && !has_calls(context, plugin)
        }
        false => true,
    };
    if (header_waits || body_waits) && (incoming.has_ended() || !wants_more) {
        if !header_waits {
            context.incoming.stage.set(RequestStage::BodyPaused);
        }
        context.watch_instances();
        return Ok(Answer::Wait);
    }
    context.wake.unlimit();
    if context.incoming.stage.get() == RequestStage::BodyPaused {
        context.incoming.stage.set(RequestStage::ReadingBody);
    }
    settle(context, request);
    let changed = incoming.has_ended() && incoming.is_changed();
    if incoming.has_ended() && !changed {
        incoming.drop_bytes();
    }
    Ok(match changed {
        true => Answer::Changed,
        false => Answer::Done,
    })
}

/// What follows from lines that the filter has changed.
fn settle(context: &Context, request: Request) {
    if context.incoming.changed.take() {
        context.keep_framing(request);
        if let Some(main) = Main::of(request) {
            main.process.forget_request_variables(request);
        }
    }
}
