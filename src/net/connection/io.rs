//! A connection as hyper's `Read` and `Write`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use ngx::ffi::{
    ngx_add_timer, ngx_del_timer, ngx_event_t, ngx_handle_read_event, ngx_handle_write_event,
    ngx_msec_t,
};

use crate::net::connection::Connection;
use crate::net::error::{Error, Wait};
use crate::net::timer::is_cancelable;
use crate::nginx::{AGAIN, OK};

impl Connection {
    fn failed(&self, fallback: &str) -> io::Error {
        // SAFETY: an attached connection is open.
        unsafe { (*self.0.raw.get()).set_error(1) };
        let error = Error::Io {
            from: self.0.server.clone(),
            reason: self.said(fallback),
        };
        error.into()
    }

    fn timed_out(&self, wait: Wait) -> io::Error {
        // SAFETY: an attached connection is open.
        unsafe { (*self.0.raw.get()).set_timedout(1) };
        let with = self.0.server.clone();
        Error::Timeout { with, wait }.into()
    }

    fn arm(&self, event: *mut ngx_event_t, timeout: ngx_msec_t) {
        // SAFETY: the event is the connection's, whose timers `detach` deletes.
        unsafe {
            if (*event).timer_set() == 0 && timeout != ngx_msec_t::MAX {
                (*event).set_cancelable(is_cancelable().into());
                ngx_add_timer(event, timeout);
            }
        }
    }

    fn disarm(&self, event: *mut ngx_event_t) {
        // SAFETY: the event is the connection's, whose timers `detach` deletes.
        unsafe {
            if (*event).timer_set() != 0 {
                ngx_del_timer(event);
            }
        }
    }
}

impl Read for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: an attached connection is open; `recv` writes no more than it is told and
        // answers how much, and all it has written is initialised.
        unsafe {
            let raw = self.0.raw.get();
            let event = (*raw).read;
            if (*event).timedout() != 0 {
                return Poll::Ready(Err(self.timed_out(Wait::Read)));
            }
            if (*event).eof() != 0 || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if (*event).error() != 0 {
                return Poll::Ready(Err(self.failed("it is broken")));
            }
            if (*event).ready() != 0
                && let Some(recv) = (*raw).recv
            {
                let room = buffer.as_mut();
                match recv(raw, room.as_mut_ptr().cast(), room.len()) {
                    0 => {
                        self.disarm(event);
                        return Poll::Ready(Ok(()));
                    }
                    n if n > 0 => {
                        self.disarm(event);
                        buffer.advance(n as usize);
                        return Poll::Ready(Ok(()));
                    }
                    AGAIN => {}
                    _ => return Poll::Ready(Err(self.failed("recv() failed"))),
                }
            }
            if ngx_handle_read_event(event, 0) != OK {
                return Poll::Ready(Err(self.failed("ngx_handle_read_event() failed")));
            }
            self.0.reader.set(Some(context.waker().clone()));
            // The server's time runs when it has got the request.
            if (*(*raw).write).timer_set() == 0 {
                self.arm(event, self.0.read_timeout.get());
            }
            Poll::Pending
        }
    }
}

impl Write for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // SAFETY: an attached connection is open; `send` only reads the bytes.
        unsafe {
            let raw = self.0.raw.get();
            let event = (*raw).write;
            if (*event).timedout() != 0 {
                return Poll::Ready(Err(self.timed_out(Wait::Send)));
            }
            if bytes.is_empty() {
                return Poll::Ready(Ok(0));
            }
            if (*event).error() != 0 {
                return Poll::Ready(Err(self.failed("it is broken")));
            }
            let reading = (*(*raw).read).timer_set() != 0;
            if (*event).ready() != 0
                && let Some(send) = (*raw).send
            {
                match send(raw, bytes.as_ptr().cast_mut(), bytes.len()) {
                    n if n > 0 => {
                        self.disarm(event);
                        if reading {
                            self.disarm((*raw).read);
                        }
                        let waker = self.0.reader.take();
                        if waker.is_some() {
                            self.0.reader.set(waker);
                            self.arm((*raw).read, self.0.read_timeout.get());
                        }
                        return Poll::Ready(Ok(n as usize));
                    }
                    0 | AGAIN => {}
                    _ => return Poll::Ready(Err(self.failed("send() failed"))),
                }
            }
            if ngx_handle_write_event(event, 0) != OK {
                return Poll::Ready(Err(self.failed("ngx_handle_write_event() failed")));
            }
            self.0.writer.set(Some(context.waker().clone()));
            self.arm(event, self.0.send_timeout.get());
            if reading {
                self.disarm((*raw).read);
            }
            Poll::Pending
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The connection ends when it is dropped; nginx does not close one half either.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
