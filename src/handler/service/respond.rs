//! A component's response on its way to the client.

use std::fmt::Display;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Body;
use ngx::ffi::ngx_int_t;

use crate::handler::service::head;
use crate::handler::service::head::Unsendable;
use crate::message::stream::download::{Download, Failed, Until};
use crate::message::stream::events::Events;
use crate::net::executor::yield_now;
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK};

/// Bytes that are taken of a body before they go on: more than one piece, where there is more than one at once.
const MOST: usize = 64 * 1024;

/// How often a guest may go on before the head of its response is sent.
const TURNS: usize = 3;

/// So many pieces are sent at a time.
const ROUNDS: u32 = 8;

/// Why a response is not complete. Displayed as one line, for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Head(#[from] Unsendable),
    #[error("the response's body has failed: {0}")]
    Body(String),
    #[error("the response's body is longer than its content-length")]
    TooLong,
    #[error("the response's body is {0} bytes shorter than its content-length")]
    TooShort(u64),
    /// Of nginx's, which has said so: a client that cannot be reached, or no memory.
    #[error("the response cannot be sent")]
    Unsent,
}

impl Failure {
    /// Has nginx said why?
    pub fn is_of_nginx(&self) -> bool {
        matches!(self, Failure::Unsent)
    }
}

impl From<Failed> for Failure {
    fn from(_: Failed) -> Failure {
        Failure::Unsent
    }
}

/// How a response failed: before anything of it was sent, or behind its head.
pub enum Broken {
    Before(Failure),
    Behind(Failure),
}

/// Sends a response, no faster than the client takes it. The result is one to finalize the request with.
pub async fn respond<B>(
    request: Request,
    events: &Rc<Events>,
    download: &Download,
    response: Response<B>,
) -> Result<ngx_int_t, Broken>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let (head, body) = response.into_parts();
    head::check_status(&head).map_err(|error| Broken::Before(error.into()))?;
    let declared = head::length(&head.headers).map_err(|error| Broken::Before(error.into()))?;
    let mut body = Rest {
        request,
        download,
        body: pin!(body),
        left: declared,
        trailers: None,
        ended: false,
    };
    let status = head.status.as_u16();
    let bodiless = request.is_head() || matches!(status, 204 | 304);
    let mut length = declared;
    let mut waits = false;
    if !bodiless {
        waits = body.begin().await.map_err(Broken::Before)?;
        if body.ended && body.trailers.is_none() {
            length = Some(download.pending() as u64);
        }
    }
    download.begin();
    let rc = head::send(request, &head, length);
    // SAFETY: the request is live as long as this task runs.
    let header_only = unsafe { (*request.as_ptr()).header_only() } != 0;
    if rc == ERROR || rc > OK || bodiless || header_only {
        return Ok(rc);
    }
    drop(head);
    body.send(events, waits).await.map_err(Broken::Behind)?;
    Ok(OK)
}

/// The body of a response as far as it has not been sent.
struct Rest<'a, B> {
    request: Request,
    download: &'a Download,
    body: Pin<&'a mut B>,
    /// Bytes that are to come by the header.
    left: Option<u64>,
    trailers: Option<HeaderMap>,
    ended: bool,
}

impl<B> Rest<'_, B>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    /// Takes what there is before the head goes: a short body may be there as a whole, when the guest has had some turns.
    async fn begin(&mut self) -> Result<bool, Failure> {
        for _ in 0..TURNS {
            let begun = poll_fn(|context| Poll::Ready(self.poll_more(context))).await;
            if !begun? {
                return Ok(false);
            }
            yield_now().await;
        }
        Ok(true)
    }

    /// Takes what there is of the body, up to a bound. Must more be waited for?
    fn poll_more(&mut self, context: &mut Context<'_>) -> Result<bool, Failure> {
        while !self.ended && self.download.pending() < MOST {
            match self.body.as_mut().poll_frame(context) {
                Poll::Pending => return Ok(true),
                Poll::Ready(None) => {
                    self.ended = true;
                    if let Some(left @ 1..) = self.left {
                        return Err(Failure::TooShort(left));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Err(Failure::Body(error.to_string())),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) => self.take(piece)?,
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            self.trailers = Some(trailers);
                        }
                    }
                },
            }
        }
        Ok(false)
    }

    fn take(&mut self, piece: Bytes) -> Result<(), Failure> {
        if let Some(left) = &mut self.left {
            let rest = left.checked_sub(piece.len() as u64);
            *left = rest.ok_or(Failure::TooLong)?;
        }
        Ok(self.download.push(self.request, piece)?)
    }

    /// Sends all of it; `waits`: nothing more is there yet.
    async fn send(mut self, events: &Rc<Events>, mut waits: bool) -> Result<(), Failure> {
        // The head goes when there is nothing to go with it.
        let mut flushes = true;
        let mut rounds = 0u32;
        while !self.ended {
            // A body that is always there, and a client as fast, are not all that the worker has to do.
            rounds += 1;
            if rounds.is_multiple_of(ROUNDS) {
                yield_now().await;
            }
            // The last byte goes with the end: a body that is not ended does not look so.
            let holds = self.left == Some(0) && waits;
            if !holds && (flushes || self.download.pending() > 0) {
                self.download.send(self.request, Until::Flush)?;
                flushes = false;
                poll_fn(|context| self.download.poll_taken(events, context)).await?;
            }
            let before = self.download.pending();
            waits = poll_fn(|context| match self.poll_more(context) {
                Ok(true) if self.download.pending() == before => Poll::Pending,
                polled => Poll::Ready(polled),
            })
            .await?;
        }
        if let Some(trailers) = &self.trailers {
            head::set_trailers(self.request, trailers);
        }
        Ok(self.download.send(self.request, Until::End)?)
    }
}
