//! A piece of a body on its way through the filters.

use std::os::fd::RawFd;

use ngx::ffi::ngx_buf_t;
use proxy_wasm_host::Status;

use crate::nginx::buf;

/// Part of a body: where its bytes are. Memory of nginx's is borrowed, and a file is read only
/// when a guest asks for its bytes.
enum Segment {
    Memory { start: *const u8, len: usize },
    File { fd: RawFd, offset: u64, len: usize },
    Owned(Vec<u8>),
}

impl Segment {
    fn len(&self) -> usize {
        match self {
            Segment::Memory { len, .. } | Segment::File { len, .. } => *len,
            Segment::Owned(bytes) => bytes.len(),
        }
    }
}

/// A piece of a request or response body.
#[derive(Default)]
pub struct Body {
    segments: Vec<Segment>,
    len: usize,
    modified: bool,
}

impl Body {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Is it still, byte for byte and in the same buffers, what nginx passed in?
    pub fn is_untouched(&self) -> bool {
        !self.modified
    }

    /// Adds the bytes of a buffer in memory, or those of a file from `from` bytes behind the
    /// buffer's start, at most `limit`.
    ///
    /// # Safety
    /// `source` is valid, and its bytes stay as they are until this piece is dropped or
    /// [`Body::own`]ed.
    pub unsafe fn push(&mut self, source: *const ngx_buf_t, from: usize, limit: usize) {
        // SAFETY: by the contract.
        unsafe {
            let len = buf::size(source).saturating_sub(from).min(limit);
            if len == 0 {
                return;
            }
            self.segments.push(if buf::in_memory(source) {
                Segment::Memory {
                    start: (*source).pos.add(from),
                    len,
                }
            } else {
                Segment::File {
                    fd: (*(*source).file).fd,
                    offset: (*source).file_pos as u64 + from as u64,
                    len,
                }
            });
            self.len += len;
        }
    }

    /// Passes the parts that make up [start, start + len), cut to the end, to `found`.
    pub fn read(
        &self,
        start: usize,
        len: usize,
        found: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Status> {
        let end = start.saturating_add(len).min(self.len);
        let mut at = 0;
        for segment in &self.segments {
            let (from, to) = (start.max(at), end.min(at + segment.len()));
            if from < to {
                let (skip, take) = (from - at, to - from);
                match segment {
                    Segment::Owned(bytes) => found(&bytes[skip..skip + take]),
                    // SAFETY: by the contract of `push`; `skip + take` is within the segment.
                    Segment::Memory { start, .. } => {
                        found(unsafe { std::slice::from_raw_parts(start.add(skip), take) })
                    }
                    Segment::File { fd, offset, .. } => {
                        let mut bytes = vec![0; take];
                        read_file(*fd, *offset + skip as u64, &mut bytes)?;
                        found(&bytes);
                    }
                }
            }
            at += segment.len();
        }
        Ok(())
    }

    /// Replaces [start, start + len), cut to the end, by all of `data`.
    pub fn replace(&mut self, start: usize, len: usize, data: &[u8]) -> Result<(), Status> {
        let start = start.min(self.len);
        let end = start.saturating_add(len).min(self.len);
        let all_replaced = start == 0 && end == self.len;
        let mut bytes = if all_replaced {
            Vec::new()
        } else {
            self.take()?
        };
        match all_replaced {
            true => bytes.extend_from_slice(data),
            false => drop(bytes.splice(start..end, data.iter().copied())),
        }
        *self = Body::owned(bytes);
        Ok(())
    }

    /// Copies borrowed bytes, so that nginx may have its buffers back; the piece counts as
    /// modified then, for it is no longer in these buffers.
    pub fn own(&mut self) -> Result<(), Status> {
        *self = Body::owned(self.take()?);
        Ok(())
    }

    /// Adds another piece at the end; both are copied.
    pub fn append(&mut self, mut other: Body) -> Result<(), Status> {
        let mut bytes = self.take()?;
        match bytes.is_empty() {
            true => bytes = other.take()?,
            false => other.read(0, usize::MAX, &mut |part| bytes.extend_from_slice(part))?,
        }
        *self = Body::owned(bytes);
        Ok(())
    }

    /// All bytes, leaving the piece empty.
    pub fn take(&mut self) -> Result<Vec<u8>, Status> {
        let bytes = match self.segments.as_mut_slice() {
            [Segment::Owned(bytes)] => std::mem::take(bytes),
            _ => {
                let mut bytes = Vec::with_capacity(self.len);
                self.read(0, usize::MAX, &mut |part| bytes.extend_from_slice(part))?;
                bytes
            }
        };
        *self = Body::owned(Vec::new());
        Ok(bytes)
    }

    fn owned(bytes: Vec<u8>) -> Body {
        Body {
            len: bytes.len(),
            segments: vec![Segment::Owned(bytes)],
            modified: true,
        }
    }
}

/// Fills `bytes` from the file. nginx reads its temporary and static files the same way, unless
/// told to use threads.
fn read_file(fd: RawFd, mut offset: u64, mut bytes: &mut [u8]) -> Result<(), Status> {
    while !bytes.is_empty() {
        // SAFETY: the buffer is writable for its length.
        let read = unsafe {
            libc::pread(
                fd,
                bytes.as_mut_ptr().cast(),
                bytes.len(),
                offset as libc::off_t,
            )
        };
        match usize::try_from(read) {
            Ok(read @ 1..) => {
                bytes = &mut bytes[read..];
                offset += read as u64;
            }
            Err(_) if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {
            }
            _ => return Err(Status::InternalFailure),
        }
    }
    Ok(())
}
