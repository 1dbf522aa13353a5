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
    line: RefCell<Option<Line>>,
}

/// What is written in the place of the first bytes that the borrower writes.
pub struct Line {
    new: Vec<u8>,
    sent: usize,
    /// Bytes of the borrower's that are still to be left out.
    skip: usize,
}

impl Line {
    /// `new` for the first `old` bytes.
    pub fn new(new: Vec<u8>, old: usize) -> Line {
        Line {
            new,
            sent: 0,
            skip: old,
        }
    }
}

impl<C> Lender<C> {
    /// `line`: what is to be written otherwise than the borrower does.
    pub fn new(io: C, line: Option<Line>) -> Lender<C> {
        Lender(Rc::new(Inner {
            io: RefCell::new(io),
            read: Cell::new(false),
            written: Cell::new(false),
            line: RefCell::new(line),
        }))
    }

    /// The connection for one borrower.
    pub fn lend(&self) -> Lent<C> {
        Lent(self.0.clone())
    }

    /// Does something with the connection that the borrower does not notice.
    pub fn with<R>(&self, act: impl FnOnce(&C) -> R) -> R {
        act(&self.0.io.borrow())
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

impl<C: Write + Unpin> Inner<C> {
    /// Writes the changed line; answers how many bytes it stands for of what the borrower writes.
    /// `None`: there is nothing to change any more.
    fn write_line(&self, cx: &mut Context<'_>, buf: &[u8]) -> Option<Poll<io::Result<usize>>> {
        let mut place = self.line.borrow_mut();
        let line = place.as_mut()?;
        while line.sent < line.new.len() {
            let rest = &line.new[line.sent..];
            let result = Pin::new(&mut *self.io.borrow_mut()).poll_write(cx, rest);
            match self.wrote(result) {
                Poll::Ready(Ok(written)) if written > 0 => line.sent += written,
                result => return Some(result),
            }
        }
        let skipped = line.skip.min(buf.len());
        line.skip -= skipped;
        if line.skip == 0 {
            *place = None;
        }
        Some(Poll::Ready(Ok(skipped)))
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
        if let Some(result) = self.0.write_line(cx, buf) {
            return result;
        }
        let result = Pin::new(&mut *self.0.io.borrow_mut()).poll_write(cx, buf);
        self.0.wrote(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty());
        if let Some(first) = first
            && let Some(result) = self.0.write_line(cx, first)
        {
            return result;
        }
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
