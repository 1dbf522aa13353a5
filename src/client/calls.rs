//! The outbound calls of an instance: what its guest has asked for, until it has been told what
//! came of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::rc::{Rc, Weak};

use proxy_wasm_host::{CallId, CallResponse, GrpcCall, GrpcEvent, HttpCall as GuestCall, Status};

use crate::client::body::Feed;
use crate::client::budget::Budget;
use crate::client::grpc;
use crate::client::grpc::channel::Channels;
use crate::client::grpc::status::CANCELLED;
use crate::client::grpc::wire::frame;
use crate::client::http1::call::HttpCall;
use crate::net::executor::{Task, spawn};
use crate::net::origin::Origin;
use crate::net::timer::cancelable;
use crate::net::turn::Turn;
use crate::nginx::log::{Level, printable};

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
    /// What they hold, together with those of the module's other instances.
    budget: Budget,
    turn: Rc<Turn>,
    live: RefCell<HashMap<CallId, Live>>,
}

/// A call that has not ended.
struct Live {
    /// Dropping it ends the call.
    _task: Task,
    kind: Kind,
}

enum Kind {
    Http(Rc<HttpCall>),
    Grpc(Sending),
    /// It has ended, and the guest is about to be told so.
    Ended,
}

/// The sending half of a gRPC call or stream.
struct Sending {
    feed: Feed,
    is_stream: bool,
    origin: RefCell<Origin>,
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Kind::Grpc(sending) = &self.kind {
            sending.feed.cancel();
        }
    }
}

impl Live {
    fn sending(&self) -> Option<&Sending> {
        match &self.kind {
            Kind::Grpc(sending) => Some(sending),
            _ => None,
        }
    }
}

impl Calls {
    /// `deliver` gets what is to be told, from nginx's event loop: never while a guest runs.
    /// `channels`: the connections of gRPC calls, which instances may share; so do those of a module the
    /// budget, and what they may take of a turn of the event loop.
    pub fn new(
        module: Rc<str>,
        channels: Channels,
        (budget, turn): (Budget, Rc<Turn>),
        deliver: impl Fn(CallId, Event) + 'static,
    ) -> Calls {
        Calls(Rc::new(Inner {
            module,
            channels,
            deliver: Box::new(deliver),
            budget,
            turn,
            live: RefCell::default(),
        }))
    }

    /// Starts an HTTP call; for errors see [`HttpCall::new`].
    pub fn http(&self, origin: &Origin, id: CallId, call: &GuestCall<'_>) -> Result<(), Status> {
        let call = Rc::new(HttpCall::new(origin, call, &self.0.budget)?);
        self.0.start_http(id, call, origin.keeps_worker());
        Ok(())
    }

    /// Starts a gRPC call or stream; for errors see [`grpc::Call::new`].
    pub fn grpc(&self, origin: &Origin, id: CallId, call: &GrpcCall<'_>) -> Result<(), Status> {
        let budget = &self.0.budget;
        let feed = Feed::new(budget);
        let sending = Sending {
            feed: feed.clone(),
            is_stream: call.message.is_none(),
            origin: RefCell::new(origin.clone()),
        };
        let upstream = call.upstream.to_vec();
        let call = grpc::Call::new(origin, call, feed, (budget, &self.0.turn))?;
        let inner = Rc::downgrade(&self.0);
        let channels = self.0.channels.clone();
        let keeps_worker = origin.keeps_worker();
        self.0
            .start(id, Kind::Grpc(sending), keeps_worker, async move {
                let failure = call.run(&channels, |event| tell(&inner, id, event)).await;
                let Some(inner) = inner.upgrade() else { return };
                // The guest may have cancelled the call when it was told of its end.
                let live = inner.live.borrow_mut().remove(&id);
                if let Some(failure) = failure
                    && let Some(sending) = live.as_ref().and_then(Live::sending)
                {
                    let origin = sending.origin.borrow();
                    inner.report(&origin, "gRPC call", &upstream, &failure);
                }
            });
        Ok(())
    }

    /// Sends a message on a gRPC stream, the last one if `end` is set. `Err(NotFound)`: it is not open. `Err(BadArgument)`: it is a call, or its sending
    /// half has ended. `Err(InternalFailure)`: more than `wasm_call_buffer_size` would wait for
    /// the server, or more than all calls together may hold.
    pub fn grpc_send(&self, id: CallId, message: &[u8], end: bool) -> Result<(), Status> {
        let live = self.0.live.borrow();
        let sending = live.get(&id).and_then(Live::sending);
        let sending = sending.ok_or(Status::NotFound)?;
        if !sending.is_stream || sending.feed.closed() {
            return Err(Status::BadArgument);
        }
        // The five bytes before a message are not the guest's.
        let limit = sending.origin.borrow().conf.buffer_size.saturating_add(5);
        sending
            .feed
            .push(frame(message)?, limit)
            .map_err(|_| Status::InternalFailure)?;
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
            let sending = live.get(&id).and_then(Live::sending);
            let sending = sending.ok_or(Status::NotFound)?;
            sending.feed.close();
            sending.is_stream
        };
        if !is_stream {
            self.cancel(id);
        }
        Ok(())
    }

    /// Ends a call of which nothing more is to be told; was there one?
    pub fn cancel(&self, id: CallId) -> bool {
        let live = self.0.live.borrow_mut().remove(&id);
        live.is_some()
    }

    /// Ends all calls: the guest cannot be told anything any more.
    pub fn clear(&self) {
        let live = self.0.live.take();
        drop(live);
    }

    /// The stream that a call belongs to is about to go. The call goes on without it, as in Envoy,
    /// so that a guest can make calls from its last callbacks. But what a client that has left had
    /// going is cancelled, and so is a gRPC stream, which might never end by itself; the guest is
    /// told of that, for it counts on an end.
    pub fn detach(&self, id: CallId) {
        let (job, event) = match self.0.live.borrow().get(&id).map(|live| &live.kind) {
            None | Some(Kind::Ended) => return,
            Some(Kind::Http(call)) => {
                let failed = CallResponse {
                    error: ABANDONED.into(),
                    ..CallResponse::default()
                };
                let job = (!call.client_has_left()).then(|| call.clone());
                (job, Event::Http(failed))
            }
            Some(Kind::Grpc(sending)) => {
                if !sending.is_stream && !sending.origin.borrow().client_has_left() {
                    let detached = sending.origin.borrow().detached();
                    sending.origin.replace(detached);
                    return;
                }
                let failed = GrpcEvent::Close {
                    status: CANCELLED,
                    message: ABANDONED.into(),
                };
                (None, Event::Grpc(failed))
            }
        };
        if let Some(call) = job {
            if call.detach() {
                self.cancel(id);
                self.0.start_http(id, call, true);
            }
            return;
        }
        self.cancel(id);
        let inner = Rc::downgrade(&self.0);
        self.0.start(id, Kind::Ended, true, async move {
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
        self.clear();
    }
}

impl Inner {
    /// `keeps_worker`: see [`Origin::keeps_worker`].
    fn start(
        &self,
        id: CallId,
        kind: Kind,
        keeps_worker: bool,
        call: impl Future<Output = ()> + 'static,
    ) {
        let turn = self.turn.clone();
        // Some kilobytes: each future around it would have it twice, as what it is given and as what it waits for.
        let call = Box::pin(call);
        let call = async move {
            // Many calls may be made at once.
            turn.wait().await;
            turn.meter(call).await;
        };
        let live = Live {
            _task: match keeps_worker {
                true => spawn(call),
                false => spawn(cancelable(call)),
            },
            kind,
        };
        let earlier = self.live.borrow_mut().insert(id, live);
        drop(earlier);
    }

    fn start_http(self: &Rc<Self>, id: CallId, call: Rc<HttpCall>, keeps_worker: bool) {
        let inner = Rc::downgrade(self);
        self.start(id, Kind::Http(call.clone()), keeps_worker, async move {
            let result = call.run().await;
            let turn = {
                let Some(inner) = inner.upgrade() else { return };
                // From now on the request may go.
                match inner.live.borrow_mut().get_mut(&id) {
                    Some(live) => live.kind = Kind::Ended,
                    None => return,
                }
                inner.turn.clone()
            };
            let response = result.unwrap_or_else(|failure| {
                let error = failure.to_string();
                if let Some(inner) = inner.upgrade() {
                    inner.report(&call.origin(), "call", call.upstream(), &error);
                }
                CallResponse {
                    error,
                    ..CallResponse::default()
                }
            });
            drop(call);
            turn.wait().await;
            let Some(inner) = inner.upgrade() else { return };
            let live = inner.live.borrow_mut().remove(&id);
            if live.is_some() {
                (inner.deliver)(id, Event::Http(response));
            }
        });
    }

    fn report(&self, origin: &Origin, what: &str, upstream: &[u8], error: &str) {
        origin.write_line(
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
