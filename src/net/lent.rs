//! A connection that is lent to hyper: it comes back whatever happens, and it is known whether
//! bytes have passed.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

/// The lender's end.
pub struct Lender<C>(Rc<Inner<C>>);

/// The connection for hyper.
pub struct Lent<C>(Rc<Inner<C>>);

struct Inner<C> {
    io: RefCell<C>,
    read: Cell<bool>,
    written: Cell<bool>,
}

impl<C> Lender<C> {
    pub fn new(io: C) -> Lender<C> {
        Lender(Rc::new(Inner {
            io: RefCell::new(io),
            read: Cell::new(false),
            written: Cell::new(false),
        }))
    }

    /// The connection for one borrower.
    pub fn lend(&self) -> Lent<C> {
        Lent(self.0.clone())
    }

    /// Has a byte been read?
    pub fn read(&self) -> bool {
        self.0.read.get()
    }

    /// Has a byte been written?
    pub fn written(&self) -> bool {
        self.0.written.get()
    }

    /// The connection, when the borrower is gone.
    pub fn into_inner(self) -> Option<C> {
        Rc::try_unwrap(self.0)
            .ok()
            .map(|inner| inner.io.into_inner())
    }
}

impl<C> Inner<C> {
    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(result, Poll::Ready(Ok(n)) if n > 0) {
            self.written.set(true);
        }
        result
    }
}

impl<C: Read + Unpin> Read for Lent<C> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut out: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let io = &mut *self.0.io.borrow_mut();
        if self.0.read.get() {
            return Pin::new(io).poll_read(cx, out);
        }
        // How much came into a cursor cannot be seen, so the first bytes take a detour.
        let mut first = [0; 1024];
        let len = out.remaining().min(first.len());
        let mut first = ReadBuf::new(&mut first[..len]);
        let result = Pin::new(io).poll_read(cx, first.unfilled());
        if !first.filled().is_empty() {
            self.0.read.set(true);
            out.put_slice(first.filled());
        }
        result
    }
}

impl<C: Write + Unpin> Write for Lent<C> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut *self.0.io.borrow_mut()).poll_write(cx, buf);
        self.0.wrote(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut *self.0.io.borrow_mut()).poll_write_vectored(cx, bufs);
        self.0.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.io.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.io.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.io.borrow_mut()).poll_shutdown(cx)
    }
}
