//! One HTTP/1.1 request and its response on a connection.

use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use http::Response;
use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use proxy_wasm_host::{CallResponse, OwnedPairs};

use crate::client::body::Payload;
use crate::client::budget;
use crate::client::budget::{Budget, Share};
use crate::client::http1::loan::{Lender, Lent};
use crate::client::http1::request::Request;
use crate::net::error::Error;

/// Bytes of a response's header, its status line included, that are read at most; Envoy's default
/// is close to it.
pub const MAX_HEADER: usize = 64 * 1024;

/// Header lines of a response that are taken at most; a guest cannot be given more of them.
pub const MAX_HEADERS: usize = 1024;

/// Why there is no response. Displayed as one line, for the log and for the guest.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Connection(#[from] Error),
    /// The connection was closed before the end of the response.
    #[error("connection closed before the end of the response")]
    Closed,
    #[error("malformed response")]
    Malformed,
    #[error("response header too large")]
    HeaderTooLarge,
    /// Whoever makes the request's body has failed.
    #[error("the request's body has failed")]
    RequestBody,
    /// The body is larger than this limit, in bytes.
    #[error("response body larger than {0} bytes")]
    TooLarge(usize),
    /// The module's calls hold as much as they may.
    #[error("the module's calls hold more than {}m", budget::MOST >> 20)]
    NoRoom,
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Failure {
        if let Some(error) = Error::find(&error) {
            return Failure::Connection(error.clone());
        }
        if error.is_user() {
            return Failure::RequestBody;
        }
        // Only hyper's servers are told this by a function.
        if error.is_parse() && error.to_string().contains("too large") {
            return Failure::HeaderTooLarge;
        }
        // hyper tells of bad chunks by an I/O error of its own.
        let mut source = error.source();
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref::<io::Error>()
                && error.kind() != io::ErrorKind::UnexpectedEof
            {
                return Failure::Malformed;
            }
            source = error.source();
        }
        match error.is_parse() {
            true => Failure::Malformed,
            false => Failure::Closed,
        }
    }
}

/// What came of a request on a connection.
pub struct Exchange<C> {
    pub result: Result<CallResponse, Failure>,
    /// The connection; `None` only when hyper keeps it.
    pub io: Option<C>,
    /// Can another request be made on it?
    pub persists: bool,
    /// Has a byte of the request been written?
    pub sent: bool,
    /// Has a byte of a response been read?
    pub answered: bool,
}

/// Makes a request; `limit`: bytes of the response's body that are taken, from the budget.
pub async fn exchange<C>(io: C, request: &Request, limit: usize, budget: &Budget) -> Exchange<C>
where
    C: Read + Write + Unpin + 'static,
{
    let lender = Lender::new(io, request.line());
    let (result, persists) = match talk(lender.lend(), request, limit, budget).await {
        Ok((response, persists)) => (Ok(response), persists),
        Err(failure) => (Err(failure), false),
    };
    Exchange {
        result,
        persists,
        sent: lender.written(),
        answered: lender.read(),
        io: lender.into_inner(),
    }
}

async fn talk<C>(
    io: Lent<C>,
    request: &Request,
    limit: usize,
    budget: &Budget,
) -> Result<(CallResponse, bool), Failure>
where
    C: Read + Write + Unpin + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEADER)
        .max_headers(MAX_HEADERS)
        .handshake::<_, Payload>(io)
        .await?;
    let mut connection = Some(connection);
    let response = {
        let mut response = pin!(async {
            let response = sender.send_request(request.message()).await?;
            read(response, limit, budget.share()).await
        });
        // The connection works only while it is polled. What it fails of does not always reach
        // the response: that may only learn that it is over.
        let mut cause = None;
        poll_fn(|cx| {
            if let Some(open) = connection.as_mut()
                && let Poll::Ready(result) = open.poll_without_shutdown(cx)
            {
                cause = result.err();
                connection = None;
            }
            let result = match response.as_mut().poll(cx) {
                // There is nothing left to wait for.
                Poll::Pending if connection.is_none() => Err(Failure::Closed),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(result) => result,
            };
            Poll::Ready(match (result, cause.take()) {
                (Err(Failure::Closed), Some(cause)) => Err(cause.into()),
                (result, _) => result,
            })
        })
        .await?
    };
    let Some(mut connection) = connection else {
        return Ok((response, false));
    };
    // hyper asks for another request when the connection has come to rest and will stay.
    let ended = once(|cx| connection.poll_without_shutdown(cx)).await;
    if ended.is_some() || !sender.is_ready() {
        return Ok((response, false));
    }
    drop(sender);
    let ended = once(|cx| connection.poll_without_shutdown(cx)).await;
    let persists = matches!(ended, Some(Ok(()))) && connection.into_parts().read_buf.is_empty();
    Ok((response, persists))
}

/// Polls once.
pub async fn once<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    poll_fn(|cx| match poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Reads a response as a whole.
async fn read(
    response: Response<Incoming>,
    limit: usize,
    mut share: Share,
) -> Result<CallResponse, Failure> {
    let (head, mut incoming) = response.into_parts();
    if head.status.is_informational() {
        // Only 101 comes here, and nobody has asked for an upgrade.
        return Err(Failure::Malformed);
    }
    if !is_framed(&head.headers) {
        return Err(Failure::Malformed);
    }
    let length = incoming.size_hint().lower();
    if length > limit as u64 {
        return Err(Failure::TooLarge(limit));
    }
    let mut response = CallResponse {
        headers: response_pairs(&head),
        body: Vec::with_capacity(length as usize),
        ..CallResponse::default()
    };
    while let Some(frame) = incoming.frame().await {
        match frame?.into_data() {
            Ok(data) => {
                if data.len() > limit - response.body.len() {
                    return Err(Failure::TooLarge(limit));
                }
                if !share.grow(data.len()) {
                    return Err(Failure::NoRoom);
                }
                response.body.extend_from_slice(&data);
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    response.trailers = pairs(&trailers).collect();
                }
            }
        }
    }
    Ok(response)
}

/// Is it clear where the body ends? As in nginx (`ngx_http_upstream_process_transfer_encoding`),
/// a length beside chunks, or another coding than these, is an attempt at smuggling.
pub fn is_framed(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => {
            coding.as_bytes().eq_ignore_ascii_case(b"chunked")
                && !headers.contains_key(CONTENT_LENGTH)
        }
        _ => false,
    }
}

/// The header of a response as a guest gets it: `:status` first, names in lower case, each value a
/// pair of its own.
pub fn response_pairs(head: &http::response::Parts) -> OwnedPairs {
    let status = (b":status".to_vec(), head.status.as_str().into());
    std::iter::once(status)
        .chain(pairs(&head.headers))
        .collect()
}

/// A map's pairs.
pub fn pairs(map: &HeaderMap) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    map.iter()
        .map(|(name, value)| (name.as_str().into(), value.as_bytes().to_vec()))
}
