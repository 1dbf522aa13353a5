//! The body of a response, through nginx's filters to the client: piece by piece, no faster than the client takes it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use ngx::ffi::{ngx_buf_t, ngx_chain_t, ngx_http_output_filter, ngx_int_t};

use crate::message::stream::events::{Events, listen_to_writes, wait_for_client};
use crate::nginx::buf::Output;
use crate::nginx::request::Request;
use crate::nginx::{ERROR, OK};

/// Its address tells these buffers from others, those of the module's filters among them.
static TAG: u8 = 0;

/// Pieces on their way to the client. It lives as long as the request's pool, for nginx sends from these bytes.
pub struct Download {
    inner: RefCell<Inner>,
    /// The head has been sent, or is about to be.
    begun: Cell<bool>,
}

struct Inner {
    output: Output,
    /// The bytes of nginx's buffers that are not yet used up.
    kept: Vec<(*mut ngx_buf_t, Bytes)>,
    /// What goes on next: first link, last link, bytes.
    first: *mut ngx_chain_t,
    last: *mut ngx_chain_t,
    bytes: usize,
}

/// How far a chain goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// More is to come, in a while: what there is goes to the client now.
    Flush,
    /// It is the end.
    End,
}

/// nginx cannot go on with the response; a client that has left, or no memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Failed;

impl Download {
    pub fn new() -> Download {
        Download {
            inner: RefCell::new(Inner {
                output: Output::new((&raw const TAG).cast_mut().cast()),
                kept: Vec::new(),
                first: std::ptr::null_mut(),
                last: std::ptr::null_mut(),
                bytes: 0,
            }),
            begun: Cell::new(false),
        }
    }

    /// The response begins.
    pub fn begin(&self) {
        self.begun.set(true);
    }

    pub fn has_begun(&self) -> bool {
        self.begun.get()
    }

    /// Bytes that have been put in and are not yet passed on.
    pub fn pending(&self) -> usize {
        self.inner.borrow().bytes
    }

    /// Puts a piece in.
    pub fn push(&self, request: Request, piece: Bytes) -> Result<(), Failed> {
        if piece.is_empty() {
            return Ok(());
        }
        self.inner.borrow_mut().push(request, piece)
    }

    /// Passes on what has been put in.
    pub fn send(&self, request: Request, until: Until) -> Result<(), Failed> {
        let chain = self.inner.borrow_mut().close(request, until)?;
        self.pass(request, chain)
    }

    /// Ready when the client has taken all that was passed on.
    pub fn poll_taken(
        &self,
        events: &Rc<Events>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Failed>> {
        let Some(request) = events.request() else {
            return Poll::Ready(Err(Failed));
        };
        if self.is_taken() {
            return Poll::Ready(Ok(()));
        }
        if self.pass(request, std::ptr::null_mut()).is_err() {
            return Poll::Ready(Err(Failed));
        }
        listen_to_writes(request);
        if wait_for_client(request) != OK {
            return Poll::Ready(Err(Failed));
        }
        if self.is_taken() {
            return Poll::Ready(Ok(()));
        }
        events.wait_to_write(context);
        Poll::Pending
    }

    fn is_taken(&self) -> bool {
        self.inner.borrow().output.is_empty()
    }

    /// Gives a chain to nginx's filters, or has them go on with what they have.
    fn pass(&self, request: Request, chain: *mut ngx_chain_t) -> Result<(), Failed> {
        // SAFETY: the request is live, and its header has been sent. The chain's links are of its pool, the bytes of its
        // buffers are in `kept`. Nothing is borrowed: the filters may run guests.
        let rc: ngx_int_t = unsafe { ngx_http_output_filter(request.as_ptr(), chain) };
        let inner = &mut *self.inner.borrow_mut();
        let kept = &mut inner.kept;
        // SAFETY: the pool is the live request's, whose links these are.
        unsafe {
            inner.output.sent(request.pool(), chain, |buffer| {
                kept.retain(|(known, _)| *known != buffer);
            });
        }
        match rc {
            ERROR => Err(Failed),
            _ => Ok(()),
        }
    }
}

impl Inner {
    fn push(&mut self, request: Request, piece: Bytes) -> Result<(), Failed> {
        let link = self.link(request)?;
        // SAFETY: the link and its buffer are new. The bytes stay where they are, and as they are, as long as `kept` has
        // them, which is until nginx has used them up, or the pool goes.
        unsafe {
            let buffer = (*link).buf;
            let range = piece.as_ptr_range();
            (*buffer).start = range.start.cast_mut();
            (*buffer).pos = (*buffer).start;
            (*buffer).end = range.end.cast_mut();
            (*buffer).last = (*buffer).end;
            (*buffer).set_memory(1);
            self.bytes += piece.len();
            self.kept.push((buffer, piece));
        }
        Ok(())
    }

    /// The chain of what has been put in, with what ends it.
    fn close(&mut self, request: Request, until: Until) -> Result<*mut ngx_chain_t, Failed> {
        if self.last.is_null() {
            self.link(request)?;
        }
        // SAFETY: the last link and its buffer are of the live request's pool, and not yet passed on.
        unsafe {
            let buffer = (*self.last).buf;
            match until {
                Until::Flush => (*buffer).set_flush(1),
                Until::End => {
                    (*buffer).set_last_buf(u32::from(request.is_main()));
                    (*buffer).set_last_in_chain(1);
                    (*buffer).set_sync(u32::from(self.bytes == 0 && !request.is_main()));
                }
            }
        }
        self.bytes = 0;
        self.last = std::ptr::null_mut();
        Ok(std::mem::replace(&mut self.first, std::ptr::null_mut()))
    }

    /// One more link, with an empty buffer.
    fn link(&mut self, request: Request) -> Result<*mut ngx_chain_t, Failed> {
        // SAFETY: the pool is the live request's; the links are of it.
        unsafe {
            let link = self.output.fresh(request.pool());
            if link.is_null() {
                return Err(Failed);
            }
            match self.last.as_mut() {
                Some(last) => last.next = link,
                None => self.first = link,
            }
            self.last = link;
            Ok(link)
        }
    }
}
