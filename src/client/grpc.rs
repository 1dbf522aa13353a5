//! gRPC calls and streams: gRPC's `doc/PROTOCOL-HTTP2.md`. What is told, and in which order, is as
//! in Envoy (`source/common/grpc/async_client_impl.cc`).

pub mod channel;
pub mod messages;
pub mod status;
pub mod wire;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error as _;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use proxy_wasm_host::{GrpcCall, GrpcEvent, Status};

use crate::client::body::Feed;
use crate::client::budget::{Budget, CALL, Share, pairs_len};
use crate::client::grpc::channel::{Channel, Channels};
use crate::client::grpc::messages::{Broken, Messages};
use crate::client::grpc::status::Ending;
use crate::client::grpc::wire::{Head, frame};
use crate::client::http1::exchange::{pairs, response_pairs};
use crate::net::error::Error;
use crate::net::origin::Origin;
use crate::net::target::{Target, scheme};
use crate::net::timer::timeout;
use crate::net::tls::{HTTP_2, ServerName, Tls};
use crate::net::turn::Turn;

/// Connections that a call is tried on, each of which its server ended before it looked at it.
const MAX_TRIES: u32 = 10;

/// A call or stream to be made.
pub struct Call {
    origin: Origin,
    target: Target,
    tls: Option<Tls>,
    head: Head,
    /// The message of a call; a stream has none.
    message: Option<Bytes>,
    feed: Feed,
    /// Nothing is told before the module's turn has come.
    turn: Rc<Turn>,
    /// For the message and the metadata.
    _share: Share,
    deadline: Option<Duration>,
    /// Where it waits for a response.
    waits_on: RefCell<Option<Rc<Channel>>>,
}

/// Nothing more is to be told.
struct Over;

enum Ended {
    Told(Ending),
    Failed(Ending),
    Over,
}

impl From<Over> for Ended {
    fn from(Over: Over) -> Ended {
        Ended::Over
    }
}

impl Call {
    /// An upstream is named as for HTTP calls, with `https://` or `grpcs://` before it for TLS;
    /// `http://` and `grpc://` are the default.
    ///
    /// `Err(ParseFailure)`: there is no such upstream. `Err(BadArgument)`: what a header cannot
    /// hold, or a message that is too large. `Err(InternalFailure)`: the budget has no room.
    pub fn new(
        origin: &Origin,
        call: &GrpcCall<'_>,
        feed: Feed,
        (budget, turn): (&Budget, &Rc<Turn>),
    ) -> Result<Call, Status> {
        let (tls, name) = scheme(call.upstream);
        let target = Target::parse(origin, name).ok_or(Status::ParseFailure)?;
        let authority: &[u8] = match name.starts_with(b"unix:") {
            true => b"localhost",
            false => name,
        };
        let head = Head::new(call, authority, tls)?;
        let name = ServerName::from_authority(authority);
        let tls = match tls {
            true => Some(name.ok_or(Status::ParseFailure)?).map(|name| Tls { name, alpn: HTTP_2 }),
            false => None,
        };
        if call
            .message
            .is_some_and(|m| m.len() > origin.conf.buffer_size)
        {
            return Err(Status::BadArgument);
        }
        let held = CALL + call.upstream.len() + call.message.map_or(0, <[u8]>::len);
        let share = budget.take(held + pairs_len(call.initial_metadata));
        let share = share.ok_or(Status::InternalFailure)?;
        let deadline = match call.message {
            Some(_) if call.timeout.is_zero() => Some(origin.conf.read_timeout),
            Some(_) => Some(call.timeout),
            None => None,
        };
        Ok(Call {
            // The connection is shared, and the call may outlive its request.
            origin: origin.detached(),
            target,
            tls,
            head,
            message: call.message.map(frame).transpose()?,
            feed,
            turn: turn.clone(),
            _share: share,
            deadline,
            waits_on: RefCell::default(),
        })
    }

    /// Makes the call. `tell` answers whether there is anybody to be told more.
    ///
    /// Answers why the connection or the response was no good, for the log; `None` when the
    /// server has told a status, whatever it is.
    pub async fn run(
        &self,
        channels: &Channels,
        tell: impl Fn(GrpcEvent) -> bool,
    ) -> Option<String> {
        let is_stream = self.message.is_none();
        let (mut begun, mut answered) = (false, false);
        let stop = {
            let talk = self.talk(channels, |event| {
                begun = true;
                answered |= matches!(event, GrpcEvent::Message(_));
                tell(event)
            });
            match self.deadline {
                Some(deadline) => match timeout(deadline, talk).await {
                    Some(stop) => stop,
                    None => self.late(),
                },
                None => talk.await,
            }
        };
        // Whatever of the stream is still open is reset.
        self.feed.cancel();
        let (mut ending, failed) = match stop {
            Ended::Told(ending) => (ending, false),
            Ended::Failed(ending) => (ending, true),
            Ended::Over => return None,
        };
        let failure = failed.then(|| String::from_utf8_lossy(&ending.message).into_owned());
        if !is_stream && ending.code == status::OK && !answered {
            ending = Ending::new(status::INTERNAL, "no message");
        }
        let mut go_on = true;
        if failed && !begun {
            self.turn.wait().await;
            go_on = tell(GrpcEvent::InitialMetadata(Vec::new()));
        }
        if failed && go_on {
            self.turn.wait().await;
            go_on = tell(GrpcEvent::TrailingMetadata(
                ending.in_place_of_trailers(begun),
            ));
        }
        if go_on {
            self.turn.wait().await;
            tell(GrpcEvent::Close {
                status: ending.code,
                message: ending.message,
            });
        }
        failure
    }

    /// The deadline is over. A server that has not answered at all may be gone without a word: the
    /// next call gets a connection of its own.
    fn late(&self) -> Ended {
        if let Some(channel) = self.waits_on.take() {
            channel.retire();
        }
        Ended::Failed(Ending::new(status::DEADLINE_EXCEEDED, "timed out"))
    }

    async fn talk(&self, channels: &Channels, mut tell: impl FnMut(GrpcEvent) -> bool) -> Ended {
        match self.response(channels).await {
            // The connection is kept as long as the stream, whatever others think of it meanwhile.
            Ok((_channel, response)) => {
                let limit = self.origin.conf.buffer_size;
                match read(response, limit, &self.turn, &mut tell).await {
                    Ok(ending) => Ended::Told(ending),
                    Err(stop) => stop,
                }
            }
            Err(ending) => Ended::Failed(ending),
        }
    }

    /// Opens a stream. It is opened again on a new connection when the one that there was did not
    /// take it: the server has said that it did not look at it (RFC 9113, section 8.7), or hyper
    /// gives the request back unsent and the connection has served others.
    async fn response(
        &self,
        channels: &Channels,
    ) -> Result<(Rc<Channel>, Response<Incoming>), Ending> {
        let mut tries = 0;
        loop {
            tries += 1;
            let channel = channels.get(&self.origin, &self.target, self.tls.as_ref());
            self.waits_on.replace(Some(channel.clone()));
            let sender = channel.sender().await;
            let mut sender = sender.map_err(|text| Ending::new(status::UNAVAILABLE, text))?;
            if let Some(message) = &self.message {
                self.feed.set(message.clone());
            }
            let request = self.head.request(self.feed.clone());
            match sender.try_send_request(request).await {
                Ok(response) => {
                    self.waits_on.take();
                    channel.worked.set(true);
                    return Ok((channel, response));
                }
                Err(mut error) => {
                    let unsent = error.take_message().is_some() && channel.worked.get();
                    // What a stream has sent is not there any more.
                    let unprocessed = self.message.is_some() && is_unprocessed(error.error());
                    if tries == MAX_TRIES || !(unsent || unprocessed) {
                        return Err(ending_of(error.error()));
                    }
                    channel.retire();
                }
            }
        }
    }
}

/// Reads a response to its end.
async fn read(
    response: Response<Incoming>,
    limit: usize,
    turn: &Rc<Turn>,
    tell: &mut impl FnMut(GrpcEvent) -> bool,
) -> Result<Ending, Ended> {
    let mut tell = async |event| {
        turn.wait().await;
        match tell(event) {
            true => Ok(()),
            false => Err(Over),
        }
    };
    let failed = |code, message: &str| Ended::Failed(Ending::new(code, message));
    let (head, mut body) = response.into_parts();
    // A response without body and trailers has in its header what trailers would have.
    let trailers_only = body.is_end_stream();
    let told = Ending::told(&head.headers).filter(|_| trailers_only);
    tell(GrpcEvent::InitialMetadata(match trailers_only {
        true => Vec::new(),
        false => response_pairs(&head),
    }))
    .await?;
    if head.status != StatusCode::OK && told.is_none() {
        return Err(Ended::Failed(Ending::of_http(head.status)));
    }
    if trailers_only {
        tell(GrpcEvent::TrailingMetadata(response_pairs(&head))).await?;
        return Ok(told.unwrap_or_else(no_status));
    }
    if !wire::is_grpc(&head.headers) {
        return Err(failed(status::UNKNOWN, "not a gRPC response"));
    }
    let mut parser = Messages::default();
    let mut messages = VecDeque::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Ended::Failed(ending_of(&error)))?;
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                tell(GrpcEvent::TrailingMetadata(pairs(&trailers).collect())).await?;
                let ending = Ending::told(&trailers).unwrap_or_else(no_status);
                return Ok(match ending.code {
                    status::OK if parser.is_partial() => {
                        Ending::new(status::INTERNAL, "truncated message")
                    }
                    _ => ending,
                });
            }
        };
        let result = parser.push(&data, limit, &mut messages);
        while let Some(message) = messages.pop_front() {
            tell(GrpcEvent::Message(message)).await?;
        }
        result.map_err(|broken| match broken {
            Broken::Compressed => failed(status::INTERNAL, "compressed message"),
            Broken::TooLarge(len) => failed(
                status::RESOURCE_EXHAUSTED,
                &format!("message of {len} bytes is larger than {limit}"),
            ),
        })?;
    }
    Err(Ended::Failed(no_status()))
}

fn no_status() -> Ending {
    Ending::new(status::UNKNOWN, "no grpc-status")
}

/// Has the server said that it did nothing with the request?
fn is_unprocessed(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(|error| {
        error.is_remote()
            && (error.reason() == Some(h2::Reason::REFUSED_STREAM)
                || error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR))
    })
}

/// What stands for the status when HTTP/2 has failed.
fn ending_of(error: &hyper::Error) -> Ending {
    if let Some(error) = Error::find(error) {
        return Ending::new(status::UNAVAILABLE, error.to_string());
    }
    match h2_error(error) {
        Some(error) if error.is_reset() => {
            Ending::of_reset(error.reason().unwrap_or(h2::Reason::INTERNAL_ERROR))
        }
        Some(error) => {
            let code = match error.is_library() {
                true => status::INTERNAL,
                false => status::UNAVAILABLE,
            };
            Ending::new(code, format!("HTTP/2: {error}"))
        }
        None => Ending::new(status::UNAVAILABLE, "connection closed"),
    }
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        source = error.source();
    }
    None
}
