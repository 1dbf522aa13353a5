//! The outbound calls of an instance: what its guest has asked for, until it has been told what
//! came of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::rc::{Rc, Weak};
use std::time::Instant;

use proxy_wasm_host::{CallId, CallResponse, GrpcCall, GrpcEvent, HttpCall, Status};

use super::body::Feed;
use super::connect::{Outcome, Want, connect};
use super::error::{Error, Wait};
use super::executor::{Task, spawn};
use super::grpc::channel::Channels;
use super::grpc::{self, CANCELLED, frame};
use super::http::{Failure, exchange};
use super::origin::Origin;
use super::request::Request;
use super::target::Target;
use super::timer::timeout;
use crate::nginx::log::{Level, Log, printable};

/// What there is to tell a guest about a call.
pub enum Event {
    Http(CallResponse),
    Grpc(GrpcEvent),
}

/// What is told of a call whose stream has gone.
const ABANDONED: &str = "the request has ended";

/// The calls of one instance. Dropping this cancels them: nothing more is told.
pub struct Calls(Rc<Inner>);

struct Inner {
    /// The module's name, for log lines.
    module: Rc<str>,
    channels: Channels,
    deliver: Box<dyn Fn(CallId, Event)>,
    live: RefCell<HashMap<CallId, Live>>,
}

/// A call that has not ended.
struct Live {
    /// Dropping it ends the call.
    _task: Task,
    /// What is sent on a gRPC stream.
    grpc: Option<Sending>,
}

struct Sending {
    feed: Feed,
    is_stream: bool,
    /// Bytes that may wait to be sent.
    limit: usize,
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(grpc) = &self.grpc {
            grpc.feed.cancel();
        }
    }
}

impl Calls {
    /// `deliver` gets what is to be told, from nginx's event loop: never while a guest runs.
    /// `channels`: the connections of gRPC calls, which instances may share.
    pub fn new(
        module: Rc<str>,
        channels: Channels,
        deliver: impl Fn(CallId, Event) + 'static,
    ) -> Calls {
        Calls(Rc::new(Inner {
            module,
            channels,
            deliver: Box::new(deliver),
            live: RefCell::default(),
        }))
    }

    /// Starts an HTTP call. `Err(BadArgument)`: there is no such upstream, or it is no proper
    /// request (see [`Request::new`]).
    pub fn http(&self, origin: &Origin, id: CallId, call: &HttpCall<'_>) -> Result<(), Status> {
        let request = Request::new(call)?;
        let target = Target::parse(origin, call.upstream).ok_or(Status::BadArgument)?;
        let upstream = call.upstream.to_vec();
        let inner = Rc::downgrade(&self.0);
        let origin = origin.clone();
        let limit = call.timeout;
        self.0.start(id, None, async move {
            let deadline = (!limit.is_zero()).then(|| Instant::now() + limit);
            let call = http_call(&origin, &target, &request, deadline);
            let result = match limit.is_zero() {
                true => call.await,
                false => timeout(limit, call)
                    .await
                    .unwrap_or_else(|| Err(late(&target))),
            };
            let Some(inner) = inner.upgrade() else { return };
            if inner.live.borrow_mut().remove(&id).is_none() {
                return;
            }
            let response = result.unwrap_or_else(|failure| {
                let error = failure.to_string();
                inner.report(origin.log, "call", &upstream, &error);
                CallResponse {
                    error,
                    ..CallResponse::default()
                }
            });
            (inner.deliver)(id, Event::Http(response));
        });
        Ok(())
    }

    /// Starts a gRPC call or stream; for errors see [`grpc::Call::new`].
    pub fn grpc(&self, origin: &Origin, id: CallId, call: &GrpcCall<'_>) -> Result<(), Status> {
        let feed = Feed::default();
        let sending = Sending {
            feed: feed.clone(),
            is_stream: call.message.is_none(),
            limit: origin.conf.buffer_size,
        };
        let upstream = call.upstream.to_vec();
        let call = grpc::Call::new(origin, call, feed)?;
        let inner = Rc::downgrade(&self.0);
        let log = origin.log;
        let channels = self.0.channels.clone();
        self.0.start(id, Some(sending), async move {
            let failure = call.run(&channels, |event| tell(&inner, id, event)).await;
            let Some(inner) = inner.upgrade() else { return };
            // The guest may have cancelled the call when it was told of its end.
            let live = inner.live.borrow_mut().remove(&id);
            if let Some(failure) = failure {
                inner.report(log, "gRPC call", &upstream, &failure);
            }
            drop(live);
        });
        Ok(())
    }

    /// Sends a message on a gRPC stream, the last one if `end` is set; nothing of it is an empty
    /// last one. `Err(NotFound)`: it is not open. `Err(BadArgument)`: it is a call, or its sending
    /// half has ended. `Err(InternalFailure)`: more than `wasm_call_buffer_size` would wait for
    /// the server.
    pub fn grpc_send(&self, id: CallId, message: &[u8], end: bool) -> Result<(), Status> {
        let live = self.0.live.borrow();
        let sending = live.get(&id).and_then(|live| live.grpc.as_ref());
        let sending = sending.ok_or(Status::NotFound)?;
        if !sending.is_stream || sending.feed.closed() {
            return Err(Status::BadArgument);
        }
        if !(end && message.is_empty()) {
            let frame = frame(message)?;
            // The five bytes before a message are not the guest's.
            let limit = sending.limit.saturating_add(5);
            sending
                .feed
                .push(frame, limit)
                .map_err(|_| Status::InternalFailure)?;
        }
        if end {
            sending.feed.close();
        }
        Ok(())
    }

    /// Ends the sending half of a gRPC stream. A call, whose half has ended, is cancelled, as in
    /// Envoy. `Err(NotFound)`: it is not open.
    pub fn grpc_close(&self, id: CallId) -> Result<(), Status> {
        let is_stream = {
            let live = self.0.live.borrow();
            let sending = live.get(&id).and_then(|live| live.grpc.as_ref());
            let sending = sending.ok_or(Status::NotFound)?;
            sending.feed.close();
            sending.is_stream
        };
        if !is_stream {
            self.cancel(id);
        }
        Ok(())
    }

    /// Ends a call of which nothing more is to be told.
    pub fn cancel(&self, id: CallId) {
        let live = self.0.live.borrow_mut().remove(&id);
        drop(live);
    }

    /// Ends a call whose stream has gone. Its guest still counts on an answer to it, so it is told
    /// that the call has failed.
    pub fn abandon(&self, id: CallId) {
        let event = match self.0.live.borrow().get(&id) {
            None => return,
            Some(Live { grpc: None, .. }) => Event::Http(CallResponse {
                error: ABANDONED.into(),
                ..CallResponse::default()
            }),
            Some(Live { grpc: Some(_), .. }) => Event::Grpc(GrpcEvent::Close {
                status: CANCELLED,
                message: ABANDONED.into(),
            }),
        };
        self.cancel(id);
        let inner = Rc::downgrade(&self.0);
        self.0.start(id, None, async move {
            let Some(inner) = inner.upgrade() else { return };
            let live = inner.live.borrow_mut().remove(&id);
            if live.is_some() {
                (inner.deliver)(id, event);
            }
        });
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        // A delivery that is going on holds the inner part a little longer.
        let live = self.0.live.take();
        drop(live);
    }
}

impl Inner {
    fn start(&self, id: CallId, grpc: Option<Sending>, call: impl Future<Output = ()> + 'static) {
        let live = Live {
            _task: spawn(call),
            grpc,
        };
        let earlier = self.live.borrow_mut().insert(id, live);
        drop(earlier);
    }

    fn report(&self, log: Log, what: &str, upstream: &[u8], error: &str) {
        log.write(
            Level::Error,
            format_args!(
                "[wasm] {}: {what} to \"{}\" failed: {error}",
                self.module,
                printable(upstream)
            ),
        );
    }
}

/// Tells the guest, if the call has not been cancelled; is there more to tell?
fn tell(inner: &Weak<Inner>, id: CallId, event: GrpcEvent) -> bool {
    let live = |inner: &Rc<Inner>| inner.live.borrow().contains_key(&id);
    let Some(inner) = inner.upgrade().filter(live) else {
        return false;
    };
    (inner.deliver)(id, Event::Grpc(event));
    live(&inner)
}

fn late(target: &Target) -> Failure {
    Failure::Connection(Error::Timeout {
        with: target.to_string(),
        wait: Wait::Call,
    })
}

/// Makes a request, on a connection that has served others where there is one.
///
/// Such a connection may be closed by the server just when the request is sent. The request is
/// then made again on a fresh connection, once, if no byte of an answer has come, and either no
/// byte of the request has been written or it does no harm to make it twice. nginx and Envoy do
/// so too.
async fn http_call(
    origin: &Origin,
    target: &Target,
    request: &Request,
    deadline: Option<Instant>,
) -> Result<CallResponse, Failure> {
    let mut want = Want {
        tls: request.tls().cloned(),
        fresh: false,
        deadline,
    };
    loop {
        let conn = connect(origin, target, &want).await?;
        let reused = conn.reused();
        let limit = origin.conf.buffer_size;
        let exchange = exchange(conn, request, limit).await;
        if let Some(conn) = exchange.io {
            conn.release(match (&exchange.result, exchange.persists) {
                (Ok(_), true) => Outcome::KeepAlive,
                (Ok(_), false) | (Err(Failure::TooLarge(_)), _) => Outcome::Close,
                // It has only been idle for too long.
                (Err(_), _) if reused && !exchange.answered => Outcome::Close,
                (Err(_), _) => Outcome::Failed,
            });
        }
        let again = reused
            && !exchange.answered
            && (!exchange.sent || request.idempotent())
            && matches!(
                exchange.result,
                Err(Failure::Closed | Failure::Connection(Error::Io { .. }))
            );
        if !again {
            return exchange.result;
        }
        want.fresh = true;
    }
}
