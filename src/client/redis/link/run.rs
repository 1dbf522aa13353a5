//! What a connection does: logs in, writes commands, reads replies.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBuf, Write};

use crate::client::redis::cluster::Node;
use crate::client::redis::command::encoded;
use crate::client::redis::failure::Failure;
use crate::client::redis::frame::Scanner;
use crate::client::redis::link::{Phase, Pipe};
use crate::client::redis::service::Login;
use crate::net::connect::{Conn, Outcome, Want, connect};
use crate::net::error::{Error, Wait};
use crate::net::origin::Origin;
use crate::net::timer::timeout;

/// Bytes that are read at a time.
const READ: usize = 16 * 1024;
/// Bytes of commands that are put together for one write, roughly.
const WRITE: usize = 64 * 1024;
/// Reads in one turn, so that nothing keeps nginx from its other events.
const READS: usize = 16;
/// Bytes of a reply to a command of the client's own.
const MAX_REPLY: usize = 4 * 1024;

/// Makes the connection, and keeps it working until it ends.
pub async fn run(pipe: Rc<Pipe>, origin: Origin, node: Node, login: Login) {
    let want = Want {
        tls: node.tls.clone(),
        // nginx's keep-alive has connections that others have logged in on, or not.
        fresh: true,
        deadline: None,
    };
    let mut conn = match connect(&origin, &node.target, &want).await {
        Ok(conn) => conn,
        Err(error) => return pipe.fail(Failure::Connect(error)),
    };
    pipe.server.replace(conn.server().to_owned());
    // Calls have time limits of their own, and an idle connection may be silent.
    conn.set_read_timeout(None);
    let mut stream = Stream::default();
    let logged_in = timeout(
        origin.conf.connect_timeout,
        stream.log_in(&mut conn, &login),
    );
    let logged_in = logged_in.await.unwrap_or_else(|| {
        Err(Failure::Connect(Error::Timeout {
            with: conn.server().to_owned(),
            wait: Wait::Connect,
        }))
    });
    if let Err(failure) = logged_in {
        conn.release(outcome(&failure));
        return pipe.fail(failure);
    }
    pipe.phase.replace(Phase::Open);
    let failure = poll_fn(|context| stream.poll(&pipe, &mut conn, context)).await;
    // A server that closes a connection on which nothing is due has not failed.
    let idle = pipe.waiting.borrow().is_empty();
    conn.release(match idle {
        true => Outcome::Close,
        false => outcome(&failure),
    });
    pipe.fail(failure);
}

fn outcome(failure: &Failure) -> Outcome {
    match failure {
        Failure::Refused { .. } => Outcome::Close,
        _ => Outcome::Failed,
    }
}

/// What is on its way, in both directions.
#[derive(Default)]
pub struct Stream {
    pub out: Vec<u8>,
    /// How much of that has been written.
    pub written: usize,
    scanner: Scanner,
}

impl Stream {
    /// AUTH and SELECT, as far as they are wanted.
    pub async fn log_in(&mut self, conn: &mut Conn, login: &Login) -> Result<(), Failure> {
        let password = login.password.as_slice();
        let auth: &[&[u8]] = match login.username.is_empty() {
            true => &[b"AUTH", password],
            false => &[b"AUTH", &login.username, password],
        };
        if !password.is_empty() {
            let reply = self.ask(conn, auth).await?;
            if !reply.starts_with(b"+") && !has_no_password(&reply) {
                return Err(refused("AUTH", &reply));
            }
        }
        if login.database != 0 {
            let number = login.database.to_string();
            let reply = self.ask(conn, &[b"SELECT", number.as_bytes()]).await?;
            if !reply.starts_with(b"+") {
                return Err(refused("SELECT", &reply));
            }
        }
        Ok(())
    }

    /// A command of the client's own, and its reply, while there are no others.
    pub async fn ask(&mut self, conn: &mut Conn, command: &[&[u8]]) -> Result<Vec<u8>, Failure> {
        let unwritable = || Failure::Connection("out of memory".into());
        self.out = encoded(command).ok_or_else(unwritable)?;
        self.written = 0;
        let mut reply = Vec::new();
        poll_fn(|context| {
            if let Err(failure) = self.write(conn, context) {
                return Poll::Ready(Err(failure));
            }
            loop {
                let mut bytes = [0; 512];
                let read = match read(conn, context, &mut bytes) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(read) => read?,
                };
                let fed = self.scanner.feed(read);
                let (len, ended) = fed.map_err(|_| malformed(conn))?;
                reply.extend_from_slice(&read[..len]);
                if len < read.len() || reply.len() > MAX_REPLY {
                    return Poll::Ready(Err(malformed(conn)));
                }
                if ended {
                    return Poll::Ready(Ok(()));
                }
            }
        })
        .await?;
        Ok(reply)
    }

    /// Ready when the connection is over, and why.
    fn poll(&mut self, pipe: &Pipe, conn: &mut Conn, context: &mut Context<'_>) -> Poll<Failure> {
        pipe.task.set(Some(context.waker().clone()));
        loop {
            if self.written == self.out.len() {
                self.take(pipe);
            }
            match self.write(conn, context) {
                Ok(true) if pipe.unsent.borrow().is_empty() => break,
                Ok(true) => {}
                Ok(false) => break,
                Err(failure) => return Poll::Ready(failure),
            }
        }
        for _ in 0..READS {
            let mut bytes = [0; READ];
            let mut rest = match read(conn, context, &mut bytes) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(read)) => read,
                Poll::Ready(Err(failure)) => return Poll::Ready(failure),
            };
            while !rest.is_empty() {
                let Some(slot) = pipe.waiting.borrow().front().cloned() else {
                    return Poll::Ready(malformed(conn));
                };
                let Ok((len, ended)) = self.scanner.feed(rest) else {
                    return Poll::Ready(malformed(conn));
                };
                slot.push(&rest[..len]);
                rest = &rest[len..];
                if ended {
                    pipe.waiting.borrow_mut().pop_front();
                    slot.complete();
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes commands that nobody has cancelled, as many as go together.
    fn take(&mut self, pipe: &Pipe) {
        self.out.clear();
        self.out.shrink_to(WRITE);
        self.written = 0;
        while self.out.len() < WRITE {
            let Some(entry) = pipe.unsent.borrow_mut().pop_front() else {
                return;
            };
            if !entry.is_wanted() {
                continue;
            }
            for (command, slot) in entry.commands {
                self.out.extend_from_slice(&command.bytes);
                pipe.waiting.borrow_mut().push_back(slot);
            }
        }
    }

    /// Is all of it written?
    pub fn write(&mut self, conn: &mut Conn, context: &mut Context<'_>) -> Result<bool, Failure> {
        while self.written < self.out.len() {
            let left = &self.out[self.written..];
            match Pin::new(&mut *conn).poll_write(context, left) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Ok(0)) => return Err(Failure::Closed(conn.server().to_owned())),
                Poll::Ready(Ok(written)) => self.written += written,
                Poll::Ready(Err(error)) => return Err(Failure::Connection(error.to_string())),
            }
        }
        Ok(true)
    }
}

/// The bytes that have come, at least one.
pub fn read<'a>(
    conn: &mut Conn,
    context: &mut Context<'_>,
    bytes: &'a mut [u8],
) -> Poll<Result<&'a [u8], Failure>> {
    let mut buffer = ReadBuf::new(bytes);
    match Pin::new(&mut *conn).poll_read(context, buffer.unfilled()) {
        Poll::Pending => return Poll::Pending,
        Poll::Ready(Ok(())) => {}
        Poll::Ready(Err(error)) => {
            return Poll::Ready(Err(Failure::Connection(error.to_string())));
        }
    }
    let len = buffer.filled().len();
    Poll::Ready(match len {
        0 => Err(Failure::Closed(conn.server().to_owned())),
        _ => Ok(&bytes[..len]),
    })
}

pub fn malformed(conn: &Conn) -> Failure {
    Failure::Malformed(conn.server().to_owned())
}

pub fn refused(command: &'static str, reply: &[u8]) -> Failure {
    let reply = reply.strip_prefix(b"-").unwrap_or(reply).trim_ascii_end();
    Failure::Refused {
        command,
        reply: String::from_utf8_lossy(reply).into_owned(),
    }
}

/// The server asks for none, so it has refused one: it takes commands all the same.
fn has_no_password(reply: &[u8]) -> bool {
    let says = |text: &[u8]| reply.windows(text.len()).any(|window| window == text);
    says(b"without any password configured") || says(b"no password is set")
}
