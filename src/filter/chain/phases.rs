//! The request through the filters: nginx's rewrite and access phases.

use std::rc::Rc;

use ngx::ffi::{
    NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_SERVICE_UNAVAILABLE, NGX_HTTP_SPECIAL_RESPONSE,
    ngx_http_block_reading, ngx_http_core_run_phases, ngx_http_finalize_request,
    ngx_http_read_client_request_body, ngx_http_request_t, ngx_int_t,
};

use crate::conf::chain::Phase;
use crate::conf::location::LocConf;
use crate::filter::chain::context::Context;
use crate::filter::chain::context::create::create;
use crate::filter::chain::context::store::{detach, find, look_at};
use crate::filter::chain::give_up::{give_up, stopped};
use crate::filter::chain::guest::Callback;
use crate::filter::chain::request_body::Rewriter;
use crate::filter::chain::stage::{Direction, RequestStage, Stop};
use crate::filter::chain::{route, upload};
use crate::message::body::Body;
use crate::message::headers::request as headers;
use crate::nginx::guard::on_request;
use crate::nginx::request::Request;
use crate::nginx::{DECLINED, DONE, OK, watch};
use crate::worker::process::Main;

/// Before the location's rewrite directives.
pub fn rewrite(request: Request) -> ngx_int_t {
    let conf = LocConf::of(request);
    if let Some(context) = find(request) {
        if context.route.moved.take() {
            give_up(&context, request);
        }
        // The contexts of another location end, be it that this one has no filters.
        if Some(&context.chain) != conf.chain() {
            detach(request, &context);
        }
    }
    match conf.phase() == Phase::Rewrite && !conf.if_has_filters() {
        true => run(request, conf),
        false => DECLINED,
    }
}

/// Behind the location's rewrite directives, where an `if` may have brought other filters.
/// Subrequests have no access phase.
pub fn after_rewrite(request: Request) -> ngx_int_t {
    // SAFETY: the request is live.
    if unsafe { (*request.as_ptr()).uri_changed() } != 0 {
        return DECLINED;
    }
    let conf = LocConf::of(request);
    match conf.phase() == Phase::Rewrite || !request.is_main() {
        true => run(request, conf),
        false => DECLINED,
    }
}

pub fn access(request: Request) -> ngx_int_t {
    let conf = LocConf::of(request);
    match conf.phase() {
        Phase::Access => run(request, conf),
        Phase::Rewrite => DECLINED,
    }
}

/// Have the location's filters seen all of the request, without a pause?
fn is_through(request: Request, conf: &LocConf) -> bool {
    let through = |context: &Context| {
        context.incoming.stage.get() == RequestStage::Done
            && !context.wake.is_used()
            && context.request().is_some()
            && conf.chain() == Some(&context.chain)
    };
    look_at(request, through).unwrap_or(false)
}

/// Makes the request callbacks, or goes on with them; `DECLINED` when all are done.
fn run(request: Request, conf: &LocConf) -> ngx_int_t {
    if is_through(request, conf) {
        return DECLINED;
    }
    let mut context = find(request);
    if let Some(old) = &context
        && Some(&old.chain) != conf.chain()
    {
        detach(request, old);
        context = None;
    }
    let context = match (context, conf.chain()) {
        (Some(context), _) => context,
        (None, None) => return DECLINED,
        (None, Some(chain)) => {
            match create(request, chain, true) {
                // Guests may have asked for the end already.
                Some(context) => match context.stops.check() {
                    Ok(()) => context,
                    Err(stop) => return stopped(&context, request, stop),
                },
                None => return NGX_HTTP_SERVICE_UNAVAILABLE as ngx_int_t,
            }
        }
    };
    let result = advance(&context, request);
    context.check_pause();
    match result {
        Ok(rc) => rc,
        Err(stop) => stopped(&context, request, stop),
    }
}

/// The next steps of the request's callbacks, until they are done or something has to be waited
/// for.
fn advance(context: &Rc<Context>, request: Request) -> Result<ngx_int_t, Stop> {
    loop {
        let paused_before = context.incoming.stage.get() == RequestStage::BodyPaused;
        let stage = match context.incoming.stage.get() {
            RequestStage::Headers(index) => run_headers(context, request, index)?,
            RequestStage::HeadersPaused(index) => {
                context.stops.check()?;
                let filter = &context.filters()[index];
                if !filter.may_go_on(Direction::Request)
                    && context.incoming.body_read.get() == Some(true)
                {
                    run_body(context, request)?;
                }
                match context.header_goes_on(Direction::Request) {
                    true => {
                        if context.incoming.body_read.get() != Some(false) {
                            stop_waiting(request);
                        }
                        RequestStage::Headers(index + 1)
                    }
                    false if context.incoming.body_read.get() == Some(true) => {
                        return Ok(wait(request));
                    }
                    false => return Ok(DONE),
                }
            }
            RequestStage::ReadingBody if context.incoming.body_read.get() == Some(false) => {
                context.stops.check()?;
                return Ok(DONE);
            }
            RequestStage::ReadingBody if request.body_is_read() => RequestStage::BodyRead,
            RequestStage::ReadingBody => return Ok(read_body(context, request)),
            RequestStage::BodyRead | RequestStage::BodyPaused => {
                match run_body(context, request)? {
                    true => RequestStage::Done,
                    false => RequestStage::BodyPaused,
                }
            }
            // The location may be another one by now.
            RequestStage::Streaming if upload::streams(request) => return Ok(DECLINED),
            RequestStage::Streaming if context.incoming.upload.get().is_none() => {
                RequestStage::ReadingBody
            }
            RequestStage::Streaming | RequestStage::Done => return Ok(DECLINED),
        };
        context.incoming.stage.set(stage);
        match stage {
            RequestStage::BodyPaused if paused_before => return Ok(DONE),
            RequestStage::HeadersPaused(index) if wants_body_early(context, request, index) => {
                context.watch_instances();
                if !request.body_is_read() {
                    return Ok(read_body(context, request));
                }
                context.incoming.body_read.set(Some(true));
            }
            RequestStage::HeadersPaused(_) if context.incoming.body_read.get() == Some(false) => {
                return Ok(DONE);
            }
            // Those that may see the body now are called next.
            RequestStage::HeadersPaused(_) if context.incoming.body_read.get() == Some(true) => {
                context.watch_instances();
            }
            RequestStage::HeadersPaused(_) | RequestStage::BodyPaused => {
                context.watch_instances();
                return Ok(wait(request));
            }
            RequestStage::Streaming | RequestStage::Done => {
                if paused_before {
                    stop_waiting(request);
                }
                finish(context, request);
                if let Some(rc) = route::choose_again(context, request) {
                    return Ok(rc);
                }
            }
            _ => {}
        }
    }
}

/// The header callbacks from a filter on.
pub fn run_headers(context: &Context, request: Request, from: usize) -> Result<RequestStage, Stop> {
    let has_body = || has_body(context, request);
    for index in from..context.filters().len() {
        context.incoming.reached.set(index + 1);
        if !context.chain.callbacks[index].request_headers() {
            continue;
        }
        let count = headers::count(request);
        let end = !has_body();
        let callback = Callback::Headers(Direction::Request, count, end);
        let action = context.callback(Direction::Request, index, callback)?;
        if context.header_waits(Direction::Request, index, action, end) {
            return Ok(RequestStage::HeadersPaused(index));
        }
    }
    Ok(match has_body() && context.chain.request_body {
        // Which it does not, where a filter has made it.
        true if upload::streams(request) => RequestStage::Streaming,
        true => RequestStage::ReadingBody,
        false => RequestStage::Done,
    })
}

/// Has the client sent a body, or a filter made one?
fn has_body(context: &Context, request: Request) -> bool {
    request.is_main() && (request.has_body() || context.incoming.body_made_by.get().is_some())
}

/// Is there a body, and a filter that is to see it while the header waits: the one that it waits for,
/// or one before that?
fn wants_body_early(context: &Context, request: Request, index: usize) -> bool {
    if context.incoming.body_read.get().is_some() || !has_body(context, request) {
        return false;
    }
    if context.header_iterates(Direction::Request) {
        return true;
    }
    let mut before = context.chain.callbacks.iter().take(index);
    !request.body_is_read()
        && before.any(|callbacks| callbacks.request_body())
        && !upload::streams(request)
}

/// Has nginx read the body; it comes back through [`body_read`].
fn read_body(context: &Context, request: Request) -> ngx_int_t {
    context.incoming.body_read.set(Some(false));
    // SAFETY: the request is live; as in nginx's mirror module, the reference that reading takes
    // is given back by finalizing with `DONE`.
    unsafe {
        let rc = ngx_http_read_client_request_body(request.as_ptr(), Some(on_body_read));
        if rc >= NGX_HTTP_SPECIAL_RESPONSE as ngx_int_t {
            return rc;
        }
        // A pause may end before the body is there.
        if context.incoming.body_read.get() == Some(false) {
            (*request.as_ptr()).write_event_handler = Some(ngx_http_core_run_phases);
        }
        ngx_http_finalize_request(request.as_ptr(), DONE);
    }
    DONE
}

unsafe extern "C" fn on_body_read(r: *mut ngx_http_request_t) {
    // SAFETY: nginx calls this with the request that it has read the body of.
    unsafe { on_request(r, body_read) };
}

/// nginx has read the body: the phases go on where they were.
fn body_read(request: Request) -> ngx_int_t {
    // Another location's filters, or none, may have the request by now.
    let Some(context) = find(request).filter(|c| c.incoming.body_read.get() == Some(false)) else {
        return OK;
    };
    context.incoming.body_read.set(Some(true));
    if context.incoming.stage.get() == RequestStage::ReadingBody {
        context.incoming.stage.set(RequestStage::BodyRead);
    }
    // SAFETY: the request is live, and waits in one of the module's phases.
    unsafe {
        (*request.as_ptr()).write_event_handler = Some(ngx_http_core_run_phases);
        ngx_http_core_run_phases(request.as_ptr());
    }
    OK
}

/// The body callbacks, piece by piece, of the filters that may see the body. `true`: all of it has
/// passed all filters.
fn run_body(context: &Rc<Context>, request: Request) -> Result<bool, Stop> {
    context.stops.check()?;
    let mut body = match context.incoming.rewritten.take() {
        Some(body) => body,
        None => Rewriter::new(request),
    };
    let limited = context.limit(Direction::Request) < context.count(Direction::Request);
    while !body.ended {
        if !context.has_time(Direction::Request) {
            context.incoming.rewritten.replace(Some(body));
            return Ok(false);
        }
        let full = || context.limit_is_full(Direction::Request);
        let next = match context.due(Direction::Request) {
            None if full() => None,
            // Filters before the one that has made the body have been told that there is none.
            None => {
                let first = context.incoming.body_made_by.get().unwrap_or(0);
                body.next().map(|(piece, end)| (first, piece, end))
            }
            due => due,
        };
        let Some((place, piece, end)) = next else {
            context.incoming.rewritten.replace(Some(body));
            return Ok(false);
        };
        match context.pass_body(Direction::Request, place, piece, end)? {
            Some(piece) if limited => context.wait_at_limit(Direction::Request, piece, end)?,
            passed => {
                // Be it that there is less of it than there was.
                let (piece, end) = match passed {
                    Some(piece) => (piece, end),
                    None => (Body::nothing(), false),
                };
                body.write(request, piece, end)
                    .map_err(|_| context.io_failure())?;
                context.check_grown(request, body.grown())?;
            }
        }
        // Other filters' header callbacks come first.
        if context.header_let_go(Direction::Request).is_some() {
            context.incoming.rewritten.replace(Some(body));
            return Ok(false);
        }
    }
    if body.install(request).map_err(|_| context.io_failure())? {
        context.incoming.changed.set(true);
        headers::set_body_length(request, &context.incoming.lines, body.length())
            .map_err(|_| Stop::Failed)?;
    }
    context.incoming.rewritten.replace(Some(body));
    Ok(true)
}

/// The filters have seen all of the request.
fn finish(context: &Context, request: Request) {
    if context.is_streaming() {
        upload::forget_length(context, request);
    }
    if context.incoming.changed.get() {
        // The length of a body that is passed on while it comes may be removed.
        if !context.is_streaming() || !upload::length_is_removed(request) {
            context.keep_framing(request);
        }
        if let Some(main) = Main::of(request) {
            main.process.forget_request_variables(request);
        }
    }
}

/// Paused: until a filter goes on, or the client leaves.
fn wait(request: Request) -> ngx_int_t {
    if !watch::client(request) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    }
    // SAFETY: the request is live and waits in one of the module's phases.
    unsafe { (*request.as_ptr()).write_event_handler = Some(ngx_http_core_run_phases) };
    DONE
}

/// The pause is over.
fn stop_waiting(request: Request) {
    // SAFETY: the request is live and waits in one of the module's phases.
    unsafe { (*request.as_ptr()).read_event_handler = Some(ngx_http_block_reading) };
}
