//! The request body through the filters: read from where nginx has put it, written anew when a
//! filter changes it.

use ngx::ffi::{ngx_alloc_chain_link, ngx_buf_t, ngx_chain_t};
use proxy_wasm_host::Status;

use crate::message::body::{Body, WINDOW};
use crate::message::spool::Spool;
use crate::nginx::request::Request;
use crate::nginx::{buf, pool};

/// Where the rewritten body is.
enum Output {
    /// Nothing was changed in this many bytes from the start.
    Same(usize),
    Memory(Vec<u8>),
    File(Spool),
}

/// The body that nginx has read, and the one that the filters make of it.
pub struct Rewriter {
    source: Vec<*mut ngx_buf_t>,
    /// Next byte of the source to pass on: buffer and offset in it.
    at: (usize, usize),
    output: Output,
    length: u64,
    /// Bytes of the source that have been passed on.
    taken: u64,
    /// All of the source has been passed on.
    read: bool,
    /// The end has come out of the filters.
    pub ended: bool,
}

impl Rewriter {
    /// Starts with the body of `request`, which nginx has read completely.
    pub fn new(request: Request) -> Rewriter {
        Rewriter {
            // SAFETY: the live request's chain; its buffers stay until the body is proxied.
            source: unsafe { buf::iter(request.body()).collect() },
            at: (0, 0),
            output: Output::Same(0),
            length: 0,
            taken: 0,
            read: false,
            ended: false,
        }
    }

    /// The next piece of the body, and whether it is the last.
    pub fn next(&mut self) -> Option<(Body, bool)> {
        if self.read {
            return None;
        }
        let (mut index, mut offset) = self.at;
        let mut piece = Body::default();
        // SAFETY: as in `new`.
        unsafe {
            while let Some(&source) = self.source.get(index) {
                if buf::size(source) == offset {
                    (index, offset) = (index + 1, 0);
                } else if buf::in_memory(source) {
                    piece.push(source, offset, usize::MAX);
                    (index, offset) = (index + 1, 0);
                } else if piece.is_empty() {
                    piece.push(source, offset, WINDOW);
                    offset += piece.len();
                    break;
                } else {
                    break;
                }
            }
            let rest = self
                .source
                .iter()
                .skip(index)
                .map(|b| buf::size(*b))
                .sum::<usize>();
            self.read = rest == offset;
        }
        self.at = (index, offset);
        self.taken += piece.len() as u64;
        Some((piece, self.read))
    }

    /// Takes a piece that has passed all filters.
    pub fn write(&mut self, request: Request, piece: Body, end: bool) -> Result<(), Status> {
        self.ended = end;
        self.length += piece.len() as u64;
        if let Output::Same(prefix) = &mut self.output {
            if piece.is_untouched() {
                *prefix += piece.len();
                return Ok(());
            }
            let prefix = *prefix;
            self.output = Output::Memory(Vec::new());
            self.copy_prefix(request, prefix)?;
        }
        let mut at = 0;
        while at < piece.len() {
            let mut result = Ok(());
            piece.read(at, WINDOW, &mut |bytes| {
                if result.is_ok() {
                    result = self.append(request, bytes);
                }
            })?;
            result?;
            at += WINDOW;
        }
        Ok(())
    }

    /// Writes the first bytes of the source, which no filter has changed, to the output.
    fn copy_prefix(&mut self, request: Request, mut left: usize) -> Result<(), Status> {
        for source in self.source.clone() {
            let mut offset = 0;
            // SAFETY: as in `new`.
            let size = unsafe { buf::size(source) };
            while left > 0 && offset < size {
                let mut part = Body::default();
                // SAFETY: as in `new`.
                unsafe { part.push(source, offset, WINDOW.min(left)) };
                offset += part.len();
                left -= part.len();
                let bytes = part.take()?;
                self.append(request, &bytes)?;
            }
        }
        Ok(())
    }

    fn append(&mut self, request: Request, bytes: &[u8]) -> Result<(), Status> {
        // SAFETY: the configuration is the live request's.
        let limit = unsafe {
            match (*request.as_ptr()).request_body_in_file_only() {
                0 => (*request.core_loc_conf()).client_body_buffer_size,
                _ => 0,
            }
        };
        match &mut self.output {
            Output::Memory(memory) if memory.len() + bytes.len() <= limit => {
                memory.extend_from_slice(bytes);
                Ok(())
            }
            Output::Memory(memory) => {
                let memory = std::mem::take(memory);
                let file = Spool::for_request_body(request)?;
                file.write(request, &memory)?;
                file.write(request, bytes)?;
                self.output = Output::File(file);
                Ok(())
            }
            Output::File(file) => file.write(request, bytes).map(drop),
            Output::Same(_) => Err(Status::InternalFailure),
        }
    }

    /// Puts the rewritten body in the place of the one that nginx has read. `true` when it
    /// differs, and the length with it may.
    pub fn install(&mut self, request: Request) -> Result<bool, Status> {
        if matches!(self.output, Output::Same(_)) {
            return Ok(false);
        }
        // SAFETY: the request is live and has read its body; the bytes in memory stay as long as
        // this rewriter, which the request's context keeps until the request's pool goes.
        unsafe {
            let Some(body) = (*request.as_ptr()).request_body.as_mut() else {
                return Err(Status::InternalFailure);
            };
            body.bufs = std::ptr::null_mut();
            body.buf = std::ptr::null_mut();
            body.temp_file = std::ptr::null_mut();
            if self.length == 0 {
                return Ok(true);
            }
            let link = ngx_alloc_chain_link(request.pool());
            let buf: *mut ngx_buf_t = pool::zeroed(request.pool());
            if link.is_null() || buf.is_null() {
                return Err(Status::InternalFailure);
            }
            match &mut self.output {
                Output::Memory(memory) => {
                    (*buf).start = memory.as_mut_ptr();
                    (*buf).pos = (*buf).start;
                    (*buf).end = (*buf).start.add(memory.len());
                    (*buf).last = (*buf).end;
                    (*buf).set_temporary(1);
                }
                Output::File(file) => {
                    let file = file.as_ptr();
                    (*buf).file = &raw mut (*file).file;
                    (*buf).file_last = self.length as _;
                    (*buf).set_in_file(1);
                    body.temp_file = file;
                }
                Output::Same(_) => {}
            }
            (*buf).set_last_buf(1);
            *link = ngx_chain_t {
                buf,
                next: std::ptr::null_mut(),
            };
            body.bufs = link;
        }
        Ok(true)
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// By how much the filters have made the body longer so far.
    pub fn grown(&self) -> u64 {
        self.length.saturating_sub(self.taken)
    }
}
