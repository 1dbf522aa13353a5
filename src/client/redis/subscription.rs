//! A connection on which a server sends what is published to channels.
//!
//! It is nobody else's: a server takes no other commands on it. Source: Redis' pages on Pub/Sub and on RESP2.

use std::future::poll_fn;
use std::task::{Context, Poll};

use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;

use crate::client::redis::command::encoded;
use crate::client::redis::failure::Failure;
use crate::client::redis::frame::Scanner;
use crate::client::redis::link::run::{Stream, malformed, read, refused};
use crate::client::redis::service::Service;
use crate::net::connect::{Conn, Outcome, Want, connect};
use crate::net::error::{Error, Wait};
use crate::net::origin::Origin;
use crate::net::timer::timeout;

/// Bytes that are read at a time.
const READ: usize = 16 * 1024;
/// Reads in one turn, so that nothing keeps nginx from its other events.
const READS: usize = 16;
/// What a message has beside its payload, at the most: the name of its channel, and lengths.
const ENVELOPE: usize = 64 * 1024;

/// What a server has sent.
pub enum Event {
    Message(Vec<u8>),
    /// A message that was larger than `wasm_call_buffer_size` says, and was dropped.
    TooLarge,
}

/// A connection that has subscribed.
pub struct Subscription {
    /// `None` only when it is given back.
    conn: Option<Conn>,
    stream: Stream,
    scanner: Scanner,
    /// What has come of a value.
    frame: Vec<u8>,
    /// The rest of it is dropped.
    drops: bool,
    /// What has been read, and how much of it has been looked at.
    bytes: Vec<u8>,
    at: usize,
    /// Reads since the connection had nothing.
    reads: usize,
    /// Most bytes of a message.
    limit: usize,
    /// Nothing has come since the server was asked whether it is there.
    pinged: bool,
}

/// A value of the server's.
enum Pushed {
    /// To a channel.
    Message(Vec<u8>),
    Subscribed,
    /// An answer to PING.
    Pong,
    Refused(Vec<u8>),
}

impl Subscription {
    /// Makes a connection, logs in and subscribes to all of these channels.
    pub async fn open(
        origin: &Origin,
        service: &Service,
        channels: &[Vec<u8>],
    ) -> Result<Subscription, Failure> {
        let want = Want {
            tls: service.tls.clone(),
            fresh: true,
            deadline: None,
        };
        let connected = connect(origin, &service.target, &want).await;
        let mut conn = connected.map_err(Failure::Connect)?;
        // A channel may be silent for as long as it likes.
        conn.set_read_timeout(None);
        let server = conn.server().to_owned();
        let mut stream = Stream::default();
        let limit = origin.conf.connect_timeout;
        let late = |_| late(&server, Wait::Connect);
        let logged_in = timeout(limit, stream.log_in(&mut conn, &service.login)).await;
        logged_in.ok_or(()).map_err(late)??;
        let mut subscription = Subscription {
            conn: Some(conn),
            stream,
            scanner: Scanner::default(),
            frame: Vec::new(),
            drops: false,
            bytes: Vec::new(),
            at: 0,
            reads: 0,
            limit: origin.conf.buffer_size,
            pinged: false,
        };
        let subscribed = timeout(limit, subscription.subscribe(channels)).await;
        subscribed.ok_or(()).map_err(late)??;
        Ok(subscription)
    }

    async fn subscribe(&mut self, channels: &[Vec<u8>]) -> Result<(), Failure> {
        let mut parts: Vec<&[u8]> = vec![b"SUBSCRIBE"];
        parts.extend(channels.iter().map(Vec::as_slice));
        self.write(&parts)?;
        for _ in channels {
            // Messages to the first of them may come before the last one is subscribed to: nobody was promised those.
            loop {
                match self.value().await? {
                    Some(Pushed::Subscribed) => break,
                    Some(Pushed::Refused(reply)) => return Err(refused("SUBSCRIBE", &reply)),
                    Some(Pushed::Message(_) | Pushed::Pong) | None => {}
                }
            }
        }
        Ok(())
    }

    /// What comes next. A server that says nothing for `wasm_call_read_timeout` is asked whether it is there, and has as long
    /// to answer. To drop the future loses nothing.
    pub async fn next(&mut self, origin: &Origin) -> Result<Event, Failure> {
        loop {
            let Some(value) = timeout(origin.conf.read_timeout, self.value()).await else {
                if self.pinged {
                    let server = self.conn.as_ref().map(Conn::server);
                    return Err(late(server.unwrap_or_default(), Wait::Read));
                }
                self.pinged = true;
                self.write(&[b"PING"])?;
                continue;
            };
            let value = value?;
            self.pinged = false;
            match value {
                Some(Pushed::Message(payload)) if payload.len() <= self.limit => {
                    return Ok(Event::Message(payload));
                }
                Some(Pushed::Message(_)) | None => return Ok(Event::TooLarge),
                Some(Pushed::Refused(reply)) => return Err(refused("PING", &reply)),
                Some(Pushed::Subscribed | Pushed::Pong) => {}
            }
        }
    }

    /// Has a command written before the next value is read.
    fn write(&mut self, parts: &[&[u8]]) -> Result<(), Failure> {
        let bytes = encoded(parts);
        self.stream.out = bytes.ok_or_else(|| Failure::Connection("out of memory".into()))?;
        self.stream.written = 0;
        Ok(())
    }

    /// A value of the server's; `None`: one that is too large.
    async fn value(&mut self) -> Result<Option<Pushed>, Failure> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Pushed>, Failure>> {
        let Some(conn) = &mut self.conn else {
            return Poll::Pending;
        };
        self.stream.write(conn, context)?;
        loop {
            while self.at < self.bytes.len() {
                let rest = &self.bytes[self.at..];
                let (len, ended) = self.scanner.feed(rest).map_err(|_| malformed(conn))?;
                if self.frame.len() + len > self.limit.saturating_add(ENVELOPE) {
                    self.drops = true;
                    self.frame = Vec::new();
                }
                if !self.drops {
                    self.frame.extend_from_slice(&rest[..len]);
                }
                self.at += len;
                if ended {
                    let frame = std::mem::take(&mut self.frame);
                    return Poll::Ready(match std::mem::take(&mut self.drops) {
                        true => Ok(None),
                        false => pushed(&frame).map(Some).ok_or_else(|| malformed(conn)),
                    });
                }
            }
            self.bytes.clear();
            self.at = 0;
            if self.reads == READS {
                self.reads = 0;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.bytes.resize(READ, 0);
            let len = match read(conn, context, &mut self.bytes) {
                Poll::Pending => {
                    self.bytes = Vec::new();
                    self.reads = 0;
                    return Poll::Pending;
                }
                Poll::Ready(read) => read?.len(),
            };
            self.bytes.truncate(len);
            self.reads += 1;
        }
    }

    /// It is not wanted any more, or its server has failed.
    pub fn close(mut self, failed: bool) {
        if let Some(conn) = self.conn.take() {
            conn.release(match failed {
                true => Outcome::Failed,
                false => Outcome::Close,
            });
        }
    }
}

fn late(server: &str, wait: Wait) -> Failure {
    Failure::Timeout(Error::Timeout {
        with: server.to_owned(),
        wait,
    })
}

/// `None`: it is nothing that a server sends to those who have subscribed.
fn pushed(bytes: &[u8]) -> Option<Pushed> {
    let (frame, _) = decode(bytes).ok()??;
    let parts = match frame {
        OwnedFrame::Error(text) => return Some(Pushed::Refused(text.into_bytes())),
        OwnedFrame::Array(parts) => parts,
        // That to PING of a server of before Redis 3, or a proxy.
        OwnedFrame::SimpleString(_) => return Some(Pushed::Pong),
        _ => return None,
    };
    let mut parts = parts.into_iter();
    let OwnedFrame::BulkString(kind) = parts.next()? else {
        return None;
    };
    match (kind.as_slice(), parts.next_back()) {
        (b"message", Some(OwnedFrame::BulkString(payload))) => Some(Pushed::Message(payload)),
        (b"subscribe", _) => Some(Pushed::Subscribed),
        (b"pong", _) => Some(Pushed::Pong),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_sends() {
        let message = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n";
        assert!(matches!(pushed(message), Some(Pushed::Message(payload)) if payload == b"hi"));
        let subscribed = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
        assert!(matches!(pushed(subscribed), Some(Pushed::Subscribed)));
        let pong = b"*2\r\n$4\r\npong\r\n$0\r\n\r\n";
        assert!(matches!(pushed(pong), Some(Pushed::Pong)));
        let refused = b"-NOPERM no\r\n";
        assert!(matches!(pushed(refused), Some(Pushed::Refused(text)) if text == b"NOPERM no"));
        assert!(pushed(b"*1\r\n$7\r\nmessage\r\n").is_none());
        assert!(pushed(b"*0\r\n").is_none());
        assert!(pushed(b":1\r\n").is_none());
    }
}
