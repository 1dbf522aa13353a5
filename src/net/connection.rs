//! One of nginx's connections to a server.

pub mod io;

use std::cell::{Cell, RefCell, UnsafeCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{mem, ptr};

use ngx::ffi::{
    NGX_LOG_INFO, ngx_connection_t, ngx_cycle, ngx_del_timer, ngx_event_t, ngx_handle_read_event,
    ngx_handle_write_event, ngx_log_t, ngx_msec_t, ngx_uint_t, u_char,
};

use crate::net::close;
use crate::nginx::OK;

/// An open connection; dropping it closes it.
pub struct Connection(Rc<Inner>);

/// What nginx's events and log lines of the connection lead to, by `ngx_connection_t.data`.
struct Inner {
    /// Null before it is made and after it was given away.
    raw: Cell<*mut ngx_connection_t>,
    /// Collects what nginx says about the connection into `said`, so that an error has a text,
    /// and a call that fails one line in the log.
    log: UnsafeCell<ngx_log_t>,
    said: RefCell<Option<String>>,
    /// The server, for messages.
    server: String,
    read_timeout: Cell<ngx_msec_t>,
    send_timeout: Cell<ngx_msec_t>,
    reader: Cell<Option<Waker>>,
    writer: Cell<Option<Waker>>,
    /// Is the TLS handshake over, well or not?
    handshaken: Cell<bool>,
}

thread_local! {
    static GIVEN_UP: Cell<bool> = const { Cell::new(false) };
}

/// Is the time of `worker_shutdown_timeout` over? Then nginx has closed what there was, and the
/// worker exits as soon as nothing keeps it.
pub fn given_up() -> bool {
    GIVEN_UP.get()
}

impl Inner {
    /// The connection is of no use any more, whoever waits for it is told.
    fn give_up(&self, raw: *mut ngx_connection_t) {
        GIVEN_UP.set(true);
        self.said
            .replace(Some("worker_shutdown_timeout is over".into()));
        // SAFETY: a connection that is attached is open, and has its events.
        unsafe {
            (*(*raw).read).set_error(1);
            (*(*raw).write).set_error(1);
        }
        let wakers = [self.reader.take(), self.writer.take()];
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Lets events come here.
    fn listen(&self) {
        // SAFETY: a connection that is attached is open, and has its events.
        unsafe {
            let raw = self.raw.get();
            (*(*raw).read).handler = Some(on_read);
            (*(*raw).write).handler = Some(on_write);
        }
    }
}

impl Connection {
    /// A connection that is still to be made; [`log`](Connection::log) is there already.
    pub fn prepare(server: &str, read_timeout: Duration, send_timeout: Duration) -> Connection {
        let inner = Rc::new(Inner {
            raw: Cell::new(ptr::null_mut()),
            // SAFETY: nginx makes its own logs from zeroes.
            log: UnsafeCell::new(unsafe { mem::zeroed() }),
            said: RefCell::default(),
            server: server.to_owned(),
            read_timeout: Cell::new(milliseconds(read_timeout)),
            send_timeout: Cell::new(milliseconds(send_timeout)),
            reader: Cell::default(),
            writer: Cell::default(),
            handshaken: Cell::default(),
        });
        // SAFETY: nothing else uses the log yet; the writer gets what it expects.
        unsafe {
            let log = inner.log.get();
            (*log).log_level = NGX_LOG_INFO as usize;
            (*log).writer = Some(on_log);
            (*log).wdata = Rc::as_ptr(&inner).cast_mut().cast();
        }
        Connection(inner)
    }

    /// Takes over a connection of nginx's, whose events come here from now on.
    ///
    /// # Safety
    /// `raw` is open, has a pool of its own, and nobody else uses it.
    pub unsafe fn attach(&self, raw: *mut ngx_connection_t) {
        // SAFETY: `raw` is open, has a pool of its own, and nobody else uses it; `data` is valid until `detach`,
        // which `drop` calls at last.
        unsafe {
            (*raw).data = Rc::as_ptr(&self.0).cast_mut().cast();
            set_log(raw, self.log());
            for event in [(*raw).read, (*raw).write] {
                if (*event).timer_set() != 0 {
                    ngx_del_timer(event);
                }
            }
        }
        self.0.raw.set(raw);
        self.0.listen();
    }

    /// Gives the connection away, open, with nginx's own log; null if it was never made.
    pub fn detach(&self) -> *mut ngx_connection_t {
        let raw = self.0.raw.replace(ptr::null_mut());
        if raw.is_null() {
            return raw;
        }
        // SAFETY: it was attached, so it is open.
        unsafe {
            for event in [(*raw).read, (*raw).write] {
                if (*event).timer_set() != 0 {
                    ngx_del_timer(event);
                }
                (*event).set_cancelable(0);
                (*event).handler = Some(ignore);
            }
            (*raw).data = ptr::null_mut();
            set_log(raw, (*ngx_cycle).log);
        }
        raw
    }

    pub fn as_ptr(&self) -> *mut ngx_connection_t {
        self.0.raw.get()
    }

    /// For nginx, as long as the connection lives.
    pub fn log(&self) -> *mut ngx_log_t {
        self.0.log.get()
    }

    /// The server, for messages.
    pub fn server(&self) -> &str {
        &self.0.server
    }

    /// What nginx has last said about the connection, or else `fallback`.
    pub fn said(&self, fallback: &str) -> String {
        let said = self.0.said.take();
        said.unwrap_or_else(|| fallback.to_owned())
    }

    /// Time between two successive reads; `None` for no limit, as in a stream that may be silent.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        let timeout = timeout.map_or(ngx_msec_t::MAX, milliseconds);
        self.0.read_timeout.set(timeout);
        let raw = self.0.raw.get();
        // SAFETY: an attached connection has its events.
        unsafe {
            if !raw.is_null() && timeout == ngx_msec_t::MAX && (*(*raw).read).timer_set() != 0 {
                ngx_del_timer((*raw).read);
            }
        }
    }

    /// Has the server closed its side, or sent what nobody has asked for? Then no further request
    /// can be sent.
    pub fn is_stale(&self) -> bool {
        // SAFETY: an attached connection has its events.
        unsafe {
            let raw = self.0.raw.get();
            let (read, write) = ((*raw).read, (*raw).write);
            (*raw).error() != 0
                || (*read).eof() != 0
                || (*read).error() != 0
                || (*read).timedout() != 0
                || (*write).error() != 0
                || (*write).timedout() != 0
                || close::has_news(raw)
        }
    }

    /// Ready when the connection can be written to, or has failed.
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        // SAFETY: an attached connection has its events.
        unsafe {
            let event = (*self.0.raw.get()).write;
            if (*event).ready() != 0 || (*event).error() != 0 {
                return Poll::Ready(());
            }
        }
        self.0.writer.set(Some(context.waker().clone()));
        Poll::Pending
    }

    /// Ready when the TLS handshake is over; its end is reported to [`on_handshake`].
    pub fn poll_handshake(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.0.handshaken.get() {
            return Poll::Ready(());
        }
        self.0.writer.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The server may still get the end of TLS; nothing is said about that any more.
        let raw = self.detach();
        if !raw.is_null() {
            // SAFETY: it was attached, and nobody else has it.
            unsafe { close::close(raw) };
        }
    }
}

fn milliseconds(duration: Duration) -> ngx_msec_t {
    const MAX: u128 = (isize::MAX / 2) as u128;
    duration.as_millis().min(MAX) as ngx_msec_t
}

/// # Safety
/// `raw` is open, and `log` outlives its use there.
unsafe fn set_log(raw: *mut ngx_connection_t, log: *mut ngx_log_t) {
    // SAFETY: `raw` is open, and `log` outlives its use there; a pool lives longer than a connection of this
    // module, so it always gets nginx's own log.
    unsafe {
        (*raw).log = log;
        (*(*raw).read).log = log;
        (*(*raw).write).log = log;
        if let Some(pool) = (*raw).pool.as_mut() {
            pool.log = (*ngx_cycle).log;
        }
    }
}

/// # Safety
/// `event` is of a connection that is attached.
unsafe fn inner<'a>(event: *mut ngx_event_t) -> Option<&'a Inner> {
    // SAFETY: `event` is of a connection that is attached; `data` is null or the inner part that `attach` has put
    // there.
    unsafe {
        let raw: *mut ngx_connection_t = (*event).data.cast();
        (*raw).data.cast_const().cast::<Inner>().as_ref()
    }
}

unsafe extern "C" fn on_read(event: *mut ngx_event_t) {
    crate::nginx::guard::guard((), || {
        // SAFETY: nginx passes the connection's own event; so below.
        unsafe {
            let Some(inner) = inner(event) else { return };
            // nginx has marked every connection when `worker_shutdown_timeout` is over
            // (ngx_shutdown_timer_handler).
            let raw: *mut ngx_connection_t = (*event).data.cast();
            if (*raw).close() != 0 {
                return inner.give_up(raw);
            }
            // The server has sent something: its time does not run while nobody takes it.
            if (*event).timedout() == 0 && (*event).timer_set() != 0 {
                ngx_del_timer(event);
            }
            // With level-triggered methods, what nobody waits for must not come again and again.
            if ngx_handle_read_event(event, 0) != OK {
                (*event).set_error(1);
            }
            if let Some(waker) = inner.reader.take() {
                waker.wake();
            }
        }
    });
}

unsafe extern "C" fn on_write(event: *mut ngx_event_t) {
    crate::nginx::guard::guard((), || {
        // SAFETY: nginx passes the connection's own event.
        unsafe {
            let Some(inner) = inner(event) else { return };
            if ngx_handle_write_event(event, 0) != OK {
                (*event).set_error(1);
            }
            if let Some(waker) = inner.writer.take() {
                waker.wake();
            }
        }
    });
}

/// nginx calls it when the TLS handshake is over, well or not.
pub unsafe extern "C" fn on_handshake(raw: *mut ngx_connection_t) {
    crate::nginx::guard::guard((), || {
        // SAFETY: nginx passes the connection, which is attached.
        let inner = unsafe { (*raw).data.cast_const().cast::<Inner>().as_ref() };
        let Some(inner) = inner else { return };
        // Another event that is due already must not start the handshake again.
        inner.listen();
        inner.handshaken.set(true);
        if let Some(waker) = inner.writer.take() {
            waker.wake();
        }
    });
}

unsafe extern "C" fn ignore(_event: *mut ngx_event_t) {}

/// nginx has something to say about a connection.
unsafe extern "C" fn on_log(
    log: *mut ngx_log_t,
    _level: ngx_uint_t,
    line: *mut u_char,
    len: usize,
) {
    crate::nginx::guard::guard((), || {
        // SAFETY: `wdata` is the inner part that the log belongs to; nginx passes a whole line.
        let (inner, line) = unsafe {
            (
                &*(*log).wdata.cast_const().cast::<Inner>(),
                std::slice::from_raw_parts(line, len),
            )
        };
        let line = String::from_utf8_lossy(line);
        // Behind time, level, "pid#tid: " comes the message.
        let message = line
            .split_once('#')
            .and_then(|(_, rest)| rest.split_once(": "));
        let message = message.map_or(&*line, |(_, message)| message).trim_end();
        inner.said.replace(Some(message.to_owned()));
    });
}
