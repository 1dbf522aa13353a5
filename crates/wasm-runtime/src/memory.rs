//! Linear memories that start as a copy of another one's contents, page by page as they are written.
//!
//! The contents lie in a sealed memory file, which is mapped privately into the memory's reserved range. When an instance ends,
//! its mapping is reset and kept for the next one of the same snapshot.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap,
};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType, Result};

use crate::artifact::MemoryFile;

/// Mappings that are kept for instances to come, of each snapshot.
const MAX_IDLE: usize = 64;

/// The unit in which contents are stored.
const PAGE: usize = 4096;

/// Contents that memories start with.
pub(crate) struct Image {
    file: File,
    /// Bytes that come from the file; the rest is zero.
    len: usize,
    /// Bytes of the memory.
    size: usize,
    idle: Mutex<Vec<Slot>>,
}

impl Image {
    /// Stores the contents of a memory. Pages of zeroes take no room.
    pub fn new(memory: &[u8]) -> Result<Arc<Image>, String> {
        let text =
            |error: &dyn std::fmt::Display| format!("{} bytes of memory: {error}", memory.len());
        let file = MemoryFile::new("wasm-snapshot").map_err(|e| text(&e))?;
        let mut len = 0;
        let pages = memory.chunks(PAGE).enumerate();
        for (number, page) in pages.filter(|(_, page)| page.iter().any(|byte| *byte != 0)) {
            let written = file.file().write_all_at(page, (number * PAGE) as u64);
            written.map_err(|e| text(&e))?;
            len = (number + 1) * PAGE;
        }
        Ok(Arc::new(Image {
            file: file.seal().map_err(|e| text(&e))?,
            len,
            size: memory.len(),
            idle: Mutex::default(),
        }))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Slot>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    /// What the memory that is made next starts with.
    static NEXT: RefCell<Option<Arc<Image>>> = const { RefCell::new(None) };
}

/// Makes an instance whose memory starts with an image.
pub(crate) fn with_image<R>(image: &Arc<Image>, instantiate: impl FnOnce() -> R) -> R {
    NEXT.set(Some(image.clone()));
    let result = instantiate();
    NEXT.set(None);
    result
}

/// Makes the memories of engines whose instances are started from snapshots.
pub(crate) struct Memories;

// SAFETY: memories are zeroed or have their image's contents, their ranges are reserved with the guard behind them, and
// do not move.
#[allow(unsafe_code)]
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _type: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let capacity = reserved.or(maximum).unwrap_or(minimum).max(minimum);
        let image = NEXT.take();
        let size = image.as_ref().map_or(minimum, |image| image.size);
        let slot = match image.as_ref().and_then(|image| image.idle().pop()) {
            Some(slot) => slot,
            None => Slot::new(capacity, guard, image.as_deref())
                .and_then(|mut slot| slot.make_writable(size).map(|()| slot))
                .map_err(|error| format!("{size} bytes of memory: {error}"))?,
        };
        Ok(Box::new(Memory {
            slot: Some(slot),
            size,
            capacity,
            image,
        }))
    }
}

/// The memory of an instance.
struct Memory {
    /// There until it is dropped.
    slot: Option<Slot>,
    size: usize,
    capacity: usize,
    image: Option<Arc<Image>>,
}

// SAFETY: see `Memories`.
#[allow(unsafe_code)]
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.capacity
    }

    fn grow_to(&mut self, size: usize) -> Result<()> {
        if size > self.capacity {
            return Err(wasmtime::Error::msg("more than is reserved"));
        }
        if let Some(slot) = &mut self.slot {
            slot.make_writable(size)?;
        }
        self.size = size;
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.slot
            .as_ref()
            .map_or(ptr::null_mut(), |slot| slot.base.as_ptr())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let (Some(slot), Some(image)) = (self.slot.take(), &self.image) else {
            return;
        };
        if image.idle().len() < MAX_IDLE
            && let Some(slot) = slot.reset(image)
        {
            image.idle().push(slot);
        }
    }
}

/// A reserved range of addresses.
struct Slot {
    base: NonNull<u8>,
    /// Bytes of the range.
    reserved: usize,
    /// Bytes from its start that can be accessed.
    writable: usize,
}

// SAFETY: it owns its range.
#[allow(unsafe_code)]
unsafe impl Send for Slot {}
// SAFETY: there is nothing to do with a shared reference.
#[allow(unsafe_code)]
unsafe impl Sync for Slot {}

#[allow(unsafe_code)]
impl Slot {
    /// Reserves a range, with an image at its start.
    fn new(capacity: usize, guard: usize, image: Option<&Image>) -> std::io::Result<Slot> {
        let reserved = capacity.saturating_add(guard);
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping, wherever the system likes.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), reserved, ProtFlags::empty(), flags)? };
        let base = NonNull::new(base.cast()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        let mut slot = Slot {
            base,
            reserved,
            writable: 0,
        };
        if let Some(image) = image.filter(|image| image.len > 0) {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
            // SAFETY: within the range that this owns: an image is not larger than the memory.
            unsafe {
                mmap(
                    base.as_ptr().cast(),
                    image.len,
                    access,
                    flags,
                    &image.file,
                    0,
                )?
            };
            slot.writable = image.len;
        }
        Ok(slot)
    }

    /// Makes the bytes up to `size` accessible; `size` is a multiple of the page size, and within the range.
    fn make_writable(&mut self, size: usize) -> std::io::Result<()> {
        if size > self.writable {
            let access = MprotectFlags::READ | MprotectFlags::WRITE;
            // SAFETY: within the range that this owns.
            unsafe {
                let from = self.base.as_ptr().add(self.writable);
                mprotect(from.cast(), size - self.writable, access)?;
            }
            self.writable = size;
        }
        Ok(())
    }

    /// Makes the range what it was when it was new. `None`: the system refuses.
    fn reset(mut self, image: &Image) -> Option<Slot> {
        // SAFETY: within the range that this owns, which no instance uses any more. Pages that were written are dropped, so
        // that those of the file, or zeroes, come back.
        unsafe {
            let base = self.base.as_ptr();
            madvise(base.cast(), self.writable, Advice::LinuxDontNeed).ok()?;
            if self.writable > image.size {
                let grown = self.writable - image.size;
                mprotect(base.add(image.size).cast(), grown, MprotectFlags::empty()).ok()?;
                self.writable = image.size;
            }
        }
        Some(self)
    }
}

#[allow(unsafe_code)]
impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: it owns the range; there is nothing to be done about an error.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.reserved) };
    }
}
