//! What comes in: nginx's buffers; what goes on: them, or the module's own.

use std::collections::VecDeque;

use ngx::ffi::{ngx_alloc_chain_link, ngx_buf_t, ngx_chain_add_copy, ngx_chain_t};

use crate::message::body::{Body, Part};
use crate::nginx::request::Request;
use crate::nginx::{OK, buf, pool};

/// Buffers of nginx's that the filters have not taken. nginx fills them anew when they are used up.
pub struct Input {
    queue: *mut ngx_chain_t,
    /// The last byte is in the queue, or has been taken.
    end: bool,
    /// The filters have been told of the end.
    told: bool,
}

impl Default for Input {
    fn default() -> Input {
        Input {
            queue: std::ptr::null_mut(),
            end: false,
            told: false,
        }
    }
}

impl Input {
    pub fn has_end(&self) -> bool {
        self.end
    }

    /// What is queued is the end.
    pub fn set_end(&mut self) {
        self.end = true;
    }

    /// Queues what has come in; its bytes. `None`: memory is out.
    pub fn push(&mut self, request: Request, input: *mut ngx_chain_t) -> Option<usize> {
        // HTTP/3 may tell the end twice.
        if self.end {
            return Some(0);
        }
        // SAFETY: nginx's buffers are valid until they are used up, and the links are copies in the
        // request's pool.
        unsafe {
            if ngx_chain_add_copy(request.pool(), &mut self.queue, input) != OK {
                return None;
            }
            self.end = buf::iter(input).any(|b| (*b).last_buf() != 0);
            Some(buf::iter(input).map(|b| buf::size(b)).sum())
        }
    }

    /// Is there nothing that the filters have not got?
    pub fn is_idle(&self) -> bool {
        self.told || self.queue.is_null() && !self.end
    }

    /// Bytes in the queue.
    pub fn len(&self) -> usize {
        // SAFETY: as in `push`.
        unsafe { buf::iter(self.queue).map(|b| buf::size(b)).sum() }
    }

    /// All that is queued, as one piece that borrows it, and whether it ends the body. It is to be passed
    /// on or used up before more comes in.
    pub fn next(&mut self, request: Request) -> Option<(Body, bool)> {
        if self.told {
            return None;
        }
        let mut piece = Body::default();
        // SAFETY: what is queued stays as it is until `consume`, or until it is used up behind
        // `forward`: the piece is gone then.
        unsafe { buf::iter(self.queue).for_each(|b| piece.push(b, 0, usize::MAX)) };
        self.told = self.end;
        if piece.is_empty() && !self.end {
            self.consume(request);
            return None;
        }
        Some((piece, self.end))
    }

    /// Passes on what is queued, as it is.
    pub fn forward(&mut self, request: Request, chain: &mut Chain, end: bool) -> Option<()> {
        // SAFETY: as in `push`.
        unsafe {
            let mut last = std::ptr::null_mut::<ngx_buf_t>();
            while let Some(buf) = buf::pop(request.pool(), &mut self.queue) {
                chain.push(request, buf)?;
                last = buf;
            }
            if end && let Some(last) = last.as_mut() {
                last.set_last_buf(1);
            }
        }
        Some(())
    }

    /// Gives what is queued back to nginx.
    pub fn consume(&mut self, request: Request) {
        // SAFETY: nobody reads these bytes any more.
        unsafe {
            while let Some(buf) = buf::pop(request.pool(), &mut self.queue) {
                buf::consume(buf);
            }
        }
    }

    /// Forgets what is queued: nginx keeps it, and reads no more than that.
    pub fn forget(&mut self, request: Request) {
        // SAFETY: the links are ours.
        unsafe { while buf::pop(request.pool(), &mut self.queue).is_some() {} }
    }
}

/// Buffers of the module's that were passed on.
#[derive(Default)]
pub struct Output {
    /// In their order, each with its bytes, which stay until it is used up.
    sent: VecDeque<(*mut ngx_buf_t, Vec<u8>)>,
    free: Vec<*mut ngx_buf_t>,
}

impl Output {
    /// Bytes that have been passed on and not been used up; the buffers of the others are free again.
    pub fn pending(&mut self) -> usize {
        // SAFETY: buffers in the live request's pool.
        unsafe {
            while let Some((buf, _)) = self.sent.front()
                && buf::size(*buf) == 0
            {
                self.free.extend(self.sent.pop_front().map(|(buf, _)| buf));
            }
            self.sent.iter().map(|(buf, _)| buf::size(*buf)).sum()
        }
    }

    /// Passes a piece on that is not what came in, or not all of it.
    pub fn push(
        &mut self,
        request: Request,
        chain: &mut Chain,
        parts: Vec<Part>,
        end: bool,
    ) -> Option<()> {
        let mut last = std::ptr::null_mut::<ngx_buf_t>();
        for part in parts {
            last = self.fresh(request)?;
            // SAFETY: the buffer is ours and free; its bytes are kept beside it, a file as long as
            // the request.
            unsafe {
                (*last).set_flush((*request.as_ptr()).request_body_no_buffering());
                let bytes = match part {
                    Part::Bytes(bytes) => {
                        (*last).start = bytes.as_ptr().cast_mut();
                        (*last).pos = (*last).start;
                        (*last).end = (*last).start.add(bytes.len());
                        (*last).last = (*last).end;
                        (*last).set_temporary(1);
                        bytes
                    }
                    Part::File { file, offset, len } => {
                        (*last).file = file;
                        (*last).file_pos = offset as i64;
                        (*last).file_last = (offset + len as u64) as i64;
                        (*last).set_in_file(1);
                        Vec::new()
                    }
                };
                self.sent.push_back((last, bytes));
                chain.push(request, last)?;
            }
        }
        if end {
            if last.is_null() {
                last = self.fresh(request)?;
                chain.push(request, last)?;
            }
            // SAFETY: the buffer is ours and free; its bytes are kept beside it, a file as long as the request.
            unsafe { (*last).set_last_buf(1) };
        }
        Some(())
    }

    /// An empty buffer; `None` when memory is out.
    fn fresh(&mut self, request: Request) -> Option<*mut ngx_buf_t> {
        // SAFETY: a free buffer is the module's own, in the live request's pool.
        unsafe {
            match self.free.pop() {
                Some(buf) => {
                    std::ptr::write_bytes(buf, 0, 1);
                    Some(buf)
                }
                None => {
                    Some(pool::zeroed::<ngx_buf_t>(request.pool())).filter(|buf| !buf.is_null())
                }
            }
        }
    }
}

/// A chain that is made for one call of the next filter, which copies its links.
pub struct Chain {
    first: *mut ngx_chain_t,
    last: *mut ngx_chain_t,
}

impl Default for Chain {
    fn default() -> Chain {
        Chain {
            first: std::ptr::null_mut(),
            last: std::ptr::null_mut(),
        }
    }
}

impl Chain {
    pub fn as_ptr(&self) -> *mut ngx_chain_t {
        self.first
    }

    fn push(&mut self, request: Request, buf: *mut ngx_buf_t) -> Option<()> {
        // SAFETY: the links are from the live request's pool.
        unsafe {
            let link = ngx_alloc_chain_link(request.pool());
            let new = link.as_mut()?;
            new.buf = buf;
            new.next = std::ptr::null_mut();
            match self.last.as_mut() {
                Some(last) => last.next = link,
                None => self.first = link,
            }
            self.last = link;
        }
        Some(())
    }

    /// Gives the links back.
    pub fn free(mut self, request: Request) {
        // SAFETY: the links are from the live request's pool; the buffers are somebody else's by now.
        unsafe { while buf::pop(request.pool(), &mut self.first).is_some() {} }
    }
}
