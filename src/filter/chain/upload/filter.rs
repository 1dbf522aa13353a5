//! The module's filter in nginx's chain of request body filters.

use std::rc::Rc;

use ngx::ffi::{NGX_HTTP_BAD_REQUEST, NGX_HTTP_INTERNAL_SERVER_ERROR, ngx_chain_t, ngx_int_t};

use crate::filter::chain::context::Context;
use crate::filter::chain::context::store::find;
use crate::filter::chain::stage::{Direction, RequestStage, Stop};
use crate::filter::chain::upload::length::Wrong;
use crate::filter::chain::upload::queue::Chain;
use crate::filter::chain::upload::state::Upload;
use crate::message::body::{Body, WINDOW};
use crate::message::next;
use crate::nginx::OK;
use crate::nginx::request::Request;

/// nginx has read some of a body, or asks for what is still on its way.
pub fn filter(request: Request, input: *mut ngx_chain_t) -> ngx_int_t {
    match find(request).filter(|context| context.is_streaming()) {
        Some(context) => pass(&context, request, input),
        None => next::request_body(request, input),
    }
}

/// Why the body does not go on.
enum Failure {
    Stop,
    Status(u32),
}

impl From<Stop> for Failure {
    /// The context tells which.
    fn from(_: Stop) -> Failure {
        Failure::Stop
    }
}

const NO_MEMORY: Failure = Failure::Status(NGX_HTTP_INTERNAL_SERVER_ERROR);

fn pass(context: &Rc<Context>, request: Request, input: *mut ngx_chain_t) -> ngx_int_t {
    let upload = context.incoming.upload.get_or_init(Box::default);
    let mut chain = Chain::default();
    let result =
        take(upload, request, input).and_then(|()| run(upload, context, request, &mut chain));
    let rc = match result {
        Ok(()) => next::request_body(request, chain.as_ptr()),
        Err(Failure::Status(status)) => status as ngx_int_t,
        Err(Failure::Stop) => {
            stop(upload, context, request);
            OK
        }
    };
    chain.free(request);
    context.check_pause();
    // The client has sent all: its timer must not run while the body waits for something else.
    if context.is_streaming() && upload.has_all() {
        context.wake.settle(context);
    }
    rc
}

/// Notes what has come in.
fn take(upload: &Upload, request: Request, input: *mut ngx_chain_t) -> Result<(), Failure> {
    // SAFETY: the live request's body is being read.
    let Some(body) = (unsafe { (*request.as_ptr()).request_body.as_mut() }) else {
        return Err(NO_MEMORY);
    };
    if !upload.started.replace(true) {
        // What is not used up stays in nginx's buffers.
        body.set_filter_need_buffering(1);
        upload.length.start(request).ok_or(NO_MEMORY)?;
        upload.start.put_off(request);
    }
    let mut queue = upload.input.borrow_mut();
    let bytes = queue.push(request, input).ok_or(NO_MEMORY)?;
    if upload.length.receive(request, bytes) {
        queue.set_end();
    }
    if queue.has_end() {
        // HTTP/3 would go on reading.
        body.rest = 0;
    }
    Ok(())
}

/// Makes the body callbacks of what may pass the filters now; what comes out is put into `chain`.
fn run(
    upload: &Upload,
    context: &Rc<Context>,
    request: Request,
    chain: &mut Chain,
) -> Result<(), Failure> {
    if upload.stopped.get() {
        return Ok(());
    }
    context.stops.check()?;
    while let Some((place, piece, end)) = context.due(Direction::Request) {
        if let Some(piece) = context.pass_body(Direction::Request, place, piece, end)? {
            send(upload, context, request, chain, Some(piece), end)?;
        }
    }
    // What there is of the body stays where it is until the modules have time again.
    if is_congested(upload, request)
        || upload.input.borrow().is_idle()
        || !context.has_time(Direction::Request)
    {
        return Ok(());
    }
    let next = upload.input.borrow_mut().next(request);
    let Some((piece, end)) = next else {
        return Ok(());
    };
    match context.pass_body(Direction::Request, 0, piece, end)? {
        Some(piece) if piece.is_untouched() => send(upload, context, request, chain, None, end),
        passed => {
            // Before nginx's buffers are used up. A piece that is held has been copied.
            let piece = passed.map(|mut piece| piece.own().map(|()| piece));
            upload.input.borrow_mut().consume(request);
            match piece {
                Some(Ok(piece)) => send(upload, context, request, chain, Some(piece), end),
                Some(Err(_)) => Err(context.io_failure().into()),
                None => Ok(()),
            }
        }
    }
}

/// Has the upstream not yet taken what it was given? More stays with the client until it has.
fn is_congested(upload: &Upload, request: Request) -> bool {
    // SAFETY: the request is live.
    let unbuffered = unsafe { (*request.as_ptr()).request_body_no_buffering() } != 0;
    unbuffered && upload.output.borrow_mut().pending() > WINDOW
}

/// Passes on a piece that has come out of the filters; `None`: all that is queued, as it is.
fn send(
    upload: &Upload,
    context: &Rc<Context>,
    request: Request,
    chain: &mut Chain,
    piece: Option<Body>,
    end: bool,
) -> Result<(), Failure> {
    if !end {
        upload.start.begin(context, request);
    }
    let mut input = upload.input.borrow_mut();
    let len = piece.as_ref().map_or_else(|| input.len(), Body::len);
    match upload.length.send(context, request, len, end) {
        Ok(()) => {}
        Err(Wrong::Client) => return Err(Failure::Status(NGX_HTTP_BAD_REQUEST)),
        Err(Wrong::Filters) => {
            context.stops.fail();
            return Err(Failure::Stop);
        }
    }
    // SAFETY: the request is live.
    if unsafe { (*request.as_ptr()).request_body_no_buffering() } == 0 {
        context.check_grown(request, upload.length.grown())?;
    }
    match piece {
        None => input.forward(request, chain, end),
        Some(piece) => {
            let parts = piece.into_parts().map_err(|_| context.io_failure())?;
            upload.output.borrow_mut().push(request, chain, parts, end)
        }
    }
    .ok_or(NO_MEMORY)?;
    if end {
        context.incoming.stage.set(RequestStage::Done);
    }
    Ok(())
}

/// The filters end the request, which the event does that is posted here: nginx is reading now.
fn stop(upload: &Upload, context: &Rc<Context>, request: Request) {
    upload.stopped.set(true);
    upload.input.borrow_mut().forget(request);
    context.drop_body(Direction::Request);
    context.wake.post(context);
}
