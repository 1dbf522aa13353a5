//! A piece of a body on its way through the filters.

use std::os::fd::{BorrowedFd, RawFd};

use ngx::ffi::{ngx_buf_t, ngx_file_t};
use proxy_wasm_host::Status;
use smallvec::{SmallVec, smallvec};

use crate::nginx::{buf, file};

/// Bytes of a file that a body callback sees at a time.
pub const WINDOW: usize = 64 * 1024;

/// Part of a body: where its bytes are. Memory of nginx's is borrowed, and a file is read only
/// when a guest asks for its bytes.
enum Segment {
    Memory {
        start: *const u8,
        len: usize,
    },
    File {
        fd: RawFd,
        /// nginx has opened it with O_DIRECT (`directio`).
        direct: bool,
        offset: u64,
        len: usize,
    },
    /// Part of a temporary file of the request's that is only appended to.
    Spooled {
        file: *mut ngx_file_t,
        offset: u64,
        len: usize,
    },
    Owned(Vec<u8>),
}

impl Segment {
    fn len(&self) -> usize {
        match self {
            Segment::Memory { len, .. }
            | Segment::File { len, .. }
            | Segment::Spooled { len, .. } => *len,
            Segment::Owned(bytes) => bytes.len(),
        }
    }
}

/// Part of a body that borrows nothing: what can be sent on as one buffer.
pub enum Part {
    Bytes(Vec<u8>),
    File {
        file: *mut ngx_file_t,
        offset: u64,
        len: usize,
    },
}

/// Bytes of a held body that stay in memory; the rest goes to a temporary file.
const IN_MEMORY: usize = 128 * 1024;

/// A piece of a request or response body.
#[derive(Default)]
pub struct Body {
    segments: SmallVec<[Segment; 1]>,
    len: usize,
    modified: bool,
}

impl Body {
    /// What is left of a piece that was dropped.
    pub fn nothing() -> Body {
        Body::owned(Vec::new())
    }

    /// One in the place of another.
    pub fn made_of(bytes: Vec<u8>) -> Body {
        Body::owned(bytes)
    }

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
        // SAFETY: `source` is valid, and its bytes stay as they are until this piece is dropped or
        // [`Body::own`]ed.
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
                    direct: (*(*source).file).directio() != 0,
                    offset: (*source).file_pos as u64 + from as u64,
                    len,
                }
            });
            self.len += len;
        }
    }

    /// Is some of it in a temporary file of a filter's?
    pub fn is_spooled(&self) -> bool {
        let spooled = |s: &Segment| matches!(s, Segment::Spooled { .. });
        self.segments.iter().any(spooled)
    }

    /// Its length when [start, start + len), cut to the end, is replaced by so many bytes.
    pub fn len_with(&self, start: usize, len: usize, new: usize) -> usize {
        let start = start.min(self.len);
        let end = start.saturating_add(len).min(self.len);
        (self.len - (end - start)).saturating_add(new)
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
                    Segment::File {
                        fd, direct, offset, ..
                    } => {
                        let offset = *offset + skip as u64;
                        // SAFETY: nginx closes the file with the request's pool, behind the body.
                        let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
                        file::read(fd, *direct, offset, take, found)
                            .map_err(|_| Status::InternalFailure)?;
                    }
                    Segment::Spooled { file, offset, .. } => {
                        // SAFETY: the file is open as long as the request's pool.
                        let fd = unsafe { BorrowedFd::borrow_raw((**file).fd) };
                        file::read(fd, false, *offset + skip as u64, take, found)
                            .map_err(|_| Status::InternalFailure)?;
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
        self.modified = true;
        let borrowed = |s: &Segment| matches!(s, Segment::Memory { .. } | Segment::File { .. });
        if self.segments.iter().any(borrowed) {
            let mut owned = Body::owned(Vec::new());
            let mut at = 0;
            for segment in std::mem::take(&mut self.segments) {
                let len = segment.len();
                match borrowed(&segment) {
                    true => {
                        let alone = Body {
                            segments: smallvec![segment],
                            len,
                            modified: true,
                        };
                        alone.read(0, len, &mut |part| owned.extend(part))?;
                    }
                    false => owned.push_segment(segment),
                }
                at += len;
            }
            owned.len = at;
            *self = owned;
        }
        Ok(())
    }

    /// Adds another piece at the end; both are copied.
    pub fn append(&mut self, mut other: Body) -> Result<(), Status> {
        self.own()?;
        other.own()?;
        self.len += other.len;
        for segment in other.segments {
            self.push_segment(segment);
        }
        Ok(())
    }

    /// Adds a segment without counting its bytes.
    fn push_segment(&mut self, segment: Segment) {
        match segment {
            Segment::Owned(bytes) if self.ends_in_memory() => self.extend(&bytes),
            segment => self.segments.push(segment),
        }
    }

    fn ends_in_memory(&self) -> bool {
        matches!(self.segments.last(), Some(Segment::Owned(_)))
    }

    /// Adds bytes without counting them.
    fn extend(&mut self, bytes: &[u8]) {
        match self.segments.last_mut() {
            Some(Segment::Owned(last)) => last.extend_from_slice(bytes),
            _ => self.segments.push(Segment::Owned(bytes.to_vec())),
        }
    }

    /// Moves what is in memory to a file if it is much; `write` appends to the file and answers
    /// where the bytes are. The piece has been [`Body::own`]ed.
    pub fn spool(
        &mut self,
        mut write: impl FnMut(&[u8]) -> Result<(*mut ngx_file_t, u64), Status>,
    ) -> Result<(), Status> {
        let in_memory = self.segments.iter().map(|segment| match segment {
            Segment::Owned(bytes) => bytes.len(),
            _ => 0,
        });
        if in_memory.sum::<usize>() <= IN_MEMORY {
            return Ok(());
        }
        let mut spooled: SmallVec<[Segment; 1]> = SmallVec::new();
        for segment in std::mem::take(&mut self.segments) {
            let segment = match segment {
                Segment::Owned(bytes) => {
                    let (file, offset) = write(&bytes)?;
                    let len = bytes.len();
                    Segment::Spooled { file, offset, len }
                }
                segment => segment,
            };
            match (spooled.last_mut(), &segment) {
                (
                    Some(Segment::Spooled { file, offset, len }),
                    Segment::Spooled {
                        file: next,
                        offset: start,
                        len: more,
                    },
                ) if file == next && *offset + *len as u64 == *start => *len += more,
                _ => spooled.push(segment),
            }
        }
        self.segments = spooled;
        Ok(())
    }

    /// The parts of the piece, without empty ones.
    pub fn into_parts(mut self) -> Result<Vec<Part>, Status> {
        self.own()?;
        let parts = self.segments.into_iter().filter(|s| s.len() > 0);
        Ok(parts
            .filter_map(|segment| match segment {
                Segment::Owned(bytes) => Some(Part::Bytes(bytes)),
                Segment::Spooled { file, offset, len } => Some(Part::File { file, offset, len }),
                _ => None,
            })
            .collect())
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
            segments: smallvec![Segment::Owned(bytes)],
            modified: true,
        }
    }
}
