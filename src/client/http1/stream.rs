//! An HTTP call whose bodies are streams: the request's goes out while the response's comes in.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{PathAndQuery, Uri};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::client::conn::http1::{Connection, SendRequest};

use crate::client::http1::exchange::{Failure, MAX_HEADER, MAX_HEADERS, is_framed, once};
use crate::client::http1::loan::{Lender, Lent};
use crate::client::http1::request::{has_content, remove_hop_by_hop};
use crate::client::http1::shared::{BodyError, Shared};
use crate::net::connect::{Conn, Outcome, Want, connect};
use crate::net::error::{Error, Wait};
use crate::net::executor::{Task, spawn, yield_now};
use crate::net::origin::Origin;
use crate::net::target::Target;
use crate::net::timer::timeout;
use crate::net::tls::Tls;

/// How long a server may take; `None`: as long as the origin's settings say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    pub connect: Option<Duration>,
    /// From the end of the request to the first byte of the response.
    pub first_byte: Option<Duration>,
    /// Between two successive reads of the response.
    pub between_bytes: Option<Duration>,
}

/// Where a call goes.
pub struct To {
    pub target: Target,
    pub tls: Option<Tls>,
}

/// Makes a call. The request's URL has been looked at: what is sent of it is the path, beside the headers as they are but
/// for those about one connection. Dropping the response's body ends the call.
///
/// As in [`HttpCall`](crate::client::http1::call::HttpCall), a request that meets a connection just closed is made again,
/// if nobody has begun to read its body.
pub async fn send<B>(
    origin: &Origin,
    to: &To,
    request: Request<B>,
    timeouts: Timeouts,
) -> Result<Response<ResponseBody>, Failure>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: BodyError,
{
    let (mut head, body) = request.into_parts();
    remove_hop_by_hop(&mut head.headers);
    let path = head.uri.path_and_query().cloned();
    head.uri = Uri::from(path.unwrap_or(PathAndQuery::from_static("/")));
    let idempotent = !matches!(head.method.as_str(), "POST" | "LOCK" | "PATCH");
    let body = Shared::new(body);
    // A guest may say only when it goes on that there is none.
    if !body.look().await && !has_content(&head.method) {
        yield_now().await;
        body.look().await;
    }
    let mut want = Want {
        tls: to.tls.clone(),
        fresh: false,
        deadline: None,
    };
    loop {
        let limit = timeouts.connect.unwrap_or(origin.conf.connect_timeout);
        let connecting = timeout(limit, connect(origin, &to.target, &want)).await;
        let conn = connecting.ok_or_else(|| Error::Timeout {
            with: to.target.to_string(),
            wait: Wait::Connect,
        })??;
        let reused = conn.reused();
        let request = Request::from_parts(head.clone(), body.clone());
        let (result, link) = exchange(conn, request, timeouts).await;
        let again = reused
            && !link.answered.get()
            && !body.is_touched()
            && (!link.sent.get() || idempotent)
            && matches!(
                result,
                Err(Failure::Closed | Failure::Connection(Error::Io { .. }))
            );
        if !again {
            return result;
        }
        want.fresh = true;
    }
}

/// A call's connection, as far as it is known to those who do not drive it.
struct Link {
    /// Until the connection has been given back.
    lender: RefCell<Option<Lender<Conn>>>,
    reused: bool,
    /// What the connection has failed of.
    cause: RefCell<Option<Failure>>,
    /// Has a byte of the request been written?
    sent: Cell<bool>,
    /// Has a byte of a response been read?
    answered: Cell<bool>,
}

impl Link {
    fn set_read_timeout(&self, limit: Option<Duration>) {
        if let (Some(lender), Some(limit)) = (self.lender.borrow().as_ref(), limit) {
            lender.with(|conn| conn.set_read_timeout(Some(limit)));
        }
    }

    fn note(&self) {
        if let Some(lender) = self.lender.borrow().as_ref() {
            self.sent.set(lender.written());
            self.answered.set(lender.read());
        }
    }

    fn release(&self, outcome: Outcome) {
        self.note();
        let lender = self.lender.take();
        if let Some(conn) = lender.and_then(Lender::into_inner) {
            conn.release(outcome);
        }
    }

    /// The failure, by what the connection says where the other end has only been told that it is over.
    fn explain(&self, error: hyper::Error) -> Failure {
        match (Failure::from(error), self.cause.take()) {
            (Failure::Closed, Some(cause)) => cause,
            (failure, _) => failure,
        }
    }
}

async fn exchange<B>(
    conn: Conn,
    request: Request<Shared<B>>,
    timeouts: Timeouts,
) -> (Result<Response<ResponseBody>, Failure>, Rc<Link>)
where
    B: Body<Data = Bytes> + 'static,
    B::Error: BodyError,
{
    let reused = conn.reused();
    let lender = Lender::new(conn, None);
    let lent = lender.lend();
    let link = Rc::new(Link {
        lender: RefCell::new(Some(lender)),
        reused,
        cause: RefCell::default(),
        sent: Cell::new(false),
        answered: Cell::new(false),
    });
    link.set_read_timeout(timeouts.first_byte);
    let result = talk(lent, request, timeouts, &link).await;
    (result, link)
}

async fn talk<B>(
    lent: Lent<Conn>,
    request: Request<Shared<B>>,
    timeouts: Timeouts,
    link: &Rc<Link>,
) -> Result<Response<ResponseBody>, Failure>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: BodyError,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEADER)
        .max_headers(MAX_HEADERS)
        .handshake::<_, Shared<B>>(lent)
        .await?;
    let answer = sender.send_request(request);
    let driver = spawn(drive(sender, connection, link.clone()));
    let response = answer.await.map_err(|error| link.explain(error))?;
    link.set_read_timeout(timeouts.between_bytes);
    let (mut head, incoming) = response.into_parts();
    // Only 101 comes here, and nobody has asked for an upgrade.
    if head.status.is_informational() || !is_framed(&head.headers) {
        return Err(Failure::Malformed);
    }
    remove_hop_by_hop(&mut head.headers);
    let body = ResponseBody {
        incoming,
        link: link.clone(),
        _driver: driver,
    };
    Ok(Response::from_parts(head, body))
}

/// Sees to the connection until the exchange is over, and gives it back then.
async fn drive<B>(
    mut sender: SendRequest<Shared<B>>,
    mut connection: Connection<Lent<Conn>, Shared<B>>,
    link: Rc<Link>,
) where
    B: Body<Data = Bytes> + 'static,
    B::Error: BodyError,
{
    // hyper asks for another request when the connection has come to rest and will stay.
    let rests = poll_fn(|context| {
        let polled = connection.poll_without_shutdown(context);
        link.note();
        match polled {
            Poll::Ready(result) => Poll::Ready(result.map(|()| false)),
            Poll::Pending => match sender.poll_ready(context) {
                Poll::Ready(Ok(())) => Poll::Ready(Ok(true)),
                _ => Poll::Pending,
            },
        }
    })
    .await;
    drop(sender);
    let outcome = match rests {
        Ok(true) => {
            let ended = once(|context| connection.poll_without_shutdown(context)).await;
            let clean = connection.into_parts().read_buf.is_empty();
            match matches!(ended, Some(Ok(()))) && clean {
                true => Outcome::KeepAlive,
                false => Outcome::Close,
            }
        }
        Ok(false) => {
            drop(connection);
            Outcome::Close
        }
        Err(error) => {
            drop(connection);
            link.cause.replace(Some(Failure::from(error)));
            // It has only been idle for too long.
            match link.reused && !link.answered.get() {
                true => Outcome::Close,
                false => Outcome::Failed,
            }
        }
    };
    link.release(outcome);
}

/// The body of a response; dropping it ends the call.
pub struct ResponseBody {
    incoming: Incoming,
    link: Rc<Link>,
    _driver: Task,
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let next = Pin::new(&mut self.incoming).poll_frame(context);
        next.map_err(|error| self.link.explain(error))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
