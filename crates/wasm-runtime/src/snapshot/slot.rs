//! Reserved ranges of addresses, for memories.

use std::fs::File;
use std::io;
use std::ptr::{self, NonNull};

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap,
};

use super::pagemap::PAGE;

/// A reserved range of addresses.
pub(crate) struct Slot {
    base: NonNull<u8>,
    /// Bytes of the range.
    reserved: usize,
    /// Bytes from its start that can be accessed.
    writable: usize,
}

// SAFETY: its range is a mapping of the process, not of a thread, and nothing else refers to it.
#[allow(unsafe_code)]
unsafe impl Send for Slot {}
// SAFETY: by a shared reference the range is only read (`page`), and its pointer is only copied.
#[allow(unsafe_code)]
unsafe impl Sync for Slot {}

#[allow(unsafe_code)]
impl Slot {
    /// The start of the range.
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Reserves a range, with so many bytes of a file at its start.
    pub fn new(capacity: usize, guard: usize, image: Option<(&File, usize)>) -> io::Result<Slot> {
        // An empty range cannot be mapped.
        let reserved = capacity.saturating_add(guard).max(PAGE);
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: no address is asked for, so the system takes one where nothing is mapped.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), reserved, ProtFlags::empty(), flags)? };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mut slot = Slot {
            base,
            reserved,
            writable: 0,
        };
        // What is written is little, and is copied and zeroed by the page. A system without large pages refuses.
        // SAFETY: the range is exactly what was mapped three lines up, and this advice changes no contents.
        let _ = unsafe { madvise(base.as_ptr().cast(), reserved, Advice::LinuxNoHugepage) };
        if let Some((file, len)) = image.filter(|(_, len)| *len > 0) {
            if len > reserved {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let access = ProtFlags::READ | ProtFlags::WRITE;
            let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
            // SAFETY: it replaces the first `len` bytes of what was mapped above, which is not shorter and which nothing
            // refers to yet.
            unsafe { mmap(base.as_ptr().cast(), len, access, flags, file, 0)? };
            slot.writable = len;
        }
        Ok(slot)
    }

    /// Makes the bytes up to `size` accessible; `size` is a multiple of the page size, and within the range.
    pub fn make_writable(&mut self, size: usize) -> io::Result<()> {
        if size > self.reserved {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if size > self.writable {
            let access = MprotectFlags::READ | MprotectFlags::WRITE;
            // SAFETY: from `writable` up to `size`, which is not more than `reserved`, is this slot's mapping; more access
            // invalidates no reference.
            unsafe {
                let from = self.base.as_ptr().add(self.writable);
                mprotect(from.cast(), size - self.writable, access)?;
            }
            self.writable = size;
        }
        Ok(())
    }

    /// A page of those that can be accessed, all of which nobody writes to.
    pub fn page(&self, at: usize) -> &[u8] {
        if at.saturating_add(PAGE) > self.writable {
            return &[];
        }
        // SAFETY: the page ends before `writable`, up to where the mapping can be read; it is mapped as long as `self`
        // is there, and nobody writes to it meanwhile, as the caller says.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(at), PAGE) }
    }

    /// Makes the range what it was when it was new and `size` bytes could be accessed. `None`: the system refuses.
    pub fn reset(mut self, size: usize) -> Option<Slot> {
        let base = self.base.as_ptr().cast();
        // SAFETY: the first `writable` bytes are mapped, and `self` is the only way to them: its memory is gone. Pages that
        // were written are dropped, so that those of the file, or zeroes, come back.
        unsafe { madvise(base, self.writable, Advice::LinuxDontNeed) }.ok()?;
        self.forbid_from(size).then_some(self)
    }

    /// Makes what is beyond `size` inaccessible; what is in it stays. `false`: the system refuses.
    pub fn forbid_from(&mut self, size: usize) -> bool {
        if self.writable > size {
            let none = MprotectFlags::empty();
            // SAFETY: from `size` up to `writable` is this slot's mapping. `page` is asked for nothing beyond `writable`, and
            // a guest that had that much memory is told of less before it runs again.
            let forbidden = unsafe {
                let from = self.base.as_ptr().add(size);
                mprotect(from.cast(), self.writable - size, none)
            };
            if forbidden.is_err() {
                return false;
            }
            self.writable = size;
        }
        true
    }
}

/// Drops the pages of a private mapping that were written, so that those of its file, or zeroes, come back. `false`: the system
/// refuses.
#[allow(unsafe_code)]
pub(crate) fn drop_pages(memory: &mut [u8]) -> bool {
    let start = memory.as_mut_ptr().cast();
    // SAFETY: the reference is the only one to these bytes, they are mapped, and other contents are as valid: any byte is
    // a `u8`.
    memory.is_empty() || unsafe { madvise(start, memory.len(), Advice::LinuxDontNeed) }.is_ok()
}

/// Zeroes a memory that started with zeroes alone, and gives back what is large of it. The memory must be one of Wasmtime's, or
/// of this crate's, or a part of one.
pub fn clear(memory: &mut [u8]) {
    /// What takes longer to give back than to zero.
    const LITTLE: usize = 64 << 10;
    let start = memory.as_ptr() as usize;
    let (first, last) = (
        start.next_multiple_of(PAGE) - start,
        (start + memory.len()) / PAGE * PAGE - start,
    );
    if memory.len() <= LITTLE || !drop_pages(&mut memory[first..last]) {
        memory.fill(0);
        return;
    }
    memory[..first].fill(0);
    memory[last..].fill(0);
    // What lay in a file would be back now.
    debug_assert!(memory.iter().step_by(PAGE / 8).all(|byte| *byte == 0));
}

#[allow(unsafe_code)]
impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: the range is what `new` has mapped, and nothing refers to it when its owner goes. There is nothing to be
        // done about an error.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.reserved) };
    }
}
