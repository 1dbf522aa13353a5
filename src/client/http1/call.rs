//! An HTTP call: its limit in time, and the connections it is tried on.

use std::cell::{Cell, Ref, RefCell};
use std::pin::pin;
use std::time::Instant;

use proxy_wasm_host::{CallResponse, HttpCall as GuestCall, Status};

use crate::client::budget::{Budget, CALL, Share, pairs_len};
use crate::client::http1::exchange::{Failure, exchange};
use crate::client::http1::request::Request;
use crate::net::connect::{Outcome, Want, connect};
use crate::net::error::{Error, Wait};
use crate::net::origin::Origin;
use crate::net::target::Target;
use crate::net::timer::timeout;

pub struct HttpCall {
    origin: RefCell<Origin>,
    /// As the guest names it.
    upstream: Vec<u8>,
    target: Target,
    request: Request,
    /// The end of the call's own timeout.
    deadline: Option<Instant>,
    /// Is there a connection?
    connected: Cell<bool>,
    budget: Budget,
    /// For the request.
    _share: Share,
}

impl HttpCall {
    /// `Err(BadArgument)`: there is no such upstream, or it is no proper request (see
    /// [`Request::new`]). `Err(InternalFailure)`: the budget has no room.
    pub fn new(origin: &Origin, call: &GuestCall<'_>, budget: &Budget) -> Result<HttpCall, Status> {
        let held = CALL + call.upstream.len() + call.body.len();
        let held = held + pairs_len(call.headers) + pairs_len(call.trailers);
        Ok(HttpCall {
            _share: budget.take(held).ok_or(Status::InternalFailure)?,
            budget: budget.clone(),
            origin: RefCell::new(origin.clone()),
            upstream: call.upstream.to_vec(),
            request: Request::new(call)?,
            target: Target::parse(origin, call.upstream).ok_or(Status::BadArgument)?,
            deadline: match call.timeout.is_zero() {
                true => None,
                false => Instant::now().checked_add(call.timeout),
            },
            connected: Cell::new(false),
        })
    }

    pub fn upstream(&self) -> &[u8] {
        &self.upstream
    }

    pub fn origin(&self) -> Ref<'_, Origin> {
        self.origin.borrow()
    }

    /// Is the call's request ending because its client has left?
    pub fn client_has_left(&self) -> bool {
        self.origin.borrow().client_has_left()
    }

    /// The request goes, and the call goes on without it. True: it must be run anew, for nginx's
    /// balancers and resolver, which choose the server, may know the request. Nothing has been
    /// sent yet then.
    pub fn detach(&self) -> bool {
        let detached = self.origin.borrow().detached();
        self.origin.replace(detached);
        !self.connected.get()
    }

    /// Makes the call.
    pub async fn run(&self) -> Result<CallResponse, Failure> {
        let Some(deadline) = self.deadline else {
            return self.tries().await;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let tries = pin!(self.tries());
        timeout(left, tries).await.unwrap_or_else(|| {
            Err(Failure::Connection(Error::Timeout {
                with: self.target.to_string(),
                wait: Wait::Call,
            }))
        })
    }

    /// Makes the request, on a connection that has served others where there is one.
    ///
    /// Such a connection may be closed by the server just when the request is sent. The request
    /// is then made again on a fresh connection, once, if no byte of an answer has come, and
    /// either no byte of the request has been written or it does no harm to make it twice. nginx
    /// and Envoy do so too.
    async fn tries(&self) -> Result<CallResponse, Failure> {
        let mut want = Want {
            tls: self.request.tls().cloned(),
            fresh: false,
            deadline: self.deadline,
        };
        loop {
            self.connected.set(false);
            let origin = self.origin.borrow().clone();
            let conn = connect(&origin, &self.target, &want).await?;
            self.connected.set(true);
            let reused = conn.reused();
            let exchange =
                exchange(conn, &self.request, origin.conf.buffer_size, &self.budget).await;
            if let Some(conn) = exchange.io {
                conn.release(match (&exchange.result, exchange.persists) {
                    (Ok(_), true) => Outcome::KeepAlive,
                    (Ok(_), false) | (Err(Failure::TooLarge(_) | Failure::NoRoom), _) => {
                        Outcome::Close
                    }
                    // It has only been idle for too long.
                    (Err(_), _) if reused && !exchange.answered => Outcome::Close,
                    (Err(_), _) => Outcome::Failed,
                });
            }
            let again = reused
                && !exchange.answered
                && (!exchange.sent || self.request.idempotent())
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
}
