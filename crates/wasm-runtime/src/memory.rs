//! Linear memories that start as a copy of another one's contents, page by page as they are written.
//!
//! The contents lie in a sealed memory file, which is mapped privately into the memory's reserved range. When an instance ends,
//! its mapping is reset and kept for the next one of the same snapshot. Where the instance itself is to start again, the pages
//! that it has written get their contents back and stay where they are: dropping them, and copying them again as they are
//! written, takes several times as long.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap,
};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType, Result};

use crate::artifact::MemoryFile;
use crate::pagemap::PageMap;

/// Mappings that are kept for instances to come, of each snapshot.
const MAX_IDLE: usize = 64;

/// The unit in which contents are stored.
const PAGE: usize = 4096;

/// Pages of a memory that stay when it starts again; those above them are dropped.
const MAX_KEPT: usize = 128;

/// All of a memory's pages are dropped every so many times: a page that is written once in a while is not to be copied each
/// time.
const ALL_DROPPED: u32 = 256;

/// Contents that memories start with.
pub(crate) struct Image {
    file: File,
    /// Bytes that come from the file; the rest is zero.
    len: usize,
    /// Bytes of the memory.
    size: usize,
    /// The contents themselves, as far as they come from the file.
    contents: Slot,
    /// Pages of that which are zero.
    zero: Vec<bool>,
    pagemap: Option<PageMap>,
    restored: AtomicU32,
    idle: Mutex<Vec<Slot>>,
}

impl Image {
    /// Stores the contents of a memory. Pages of zeroes take no room.
    pub fn new(memory: &[u8]) -> Result<Arc<Image>, String> {
        let text =
            |error: &dyn std::fmt::Display| format!("{} bytes of memory: {error}", memory.len());
        let file = MemoryFile::new("wasm-snapshot").map_err(|e| text(&e))?;
        let mut zero = Vec::with_capacity(memory.len() / PAGE);
        let mut len = 0;
        for page in memory.chunks(PAGE) {
            zero.push(page.iter().all(|byte| *byte == 0));
            if zero.last() == Some(&false) {
                let at = (zero.len() - 1) * PAGE;
                let written = file.file().write_all_at(page, at as u64);
                written.map_err(|e| text(&e))?;
                len = at + PAGE;
            }
        }
        let file = file.seal().map_err(|e| text(&e))?;
        Ok(Arc::new(Image {
            contents: Slot::new(len, 0, Some((&file, len))).map_err(|e| text(&e))?,
            file,
            len,
            size: memory.len(),
            zero,
            pagemap: PageMap::open(),
            restored: AtomicU32::new(0),
            idle: Mutex::default(),
        }))
    }

    /// Bytes of the memory.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Gives a memory that started with this image its contents back; `false`: the system refuses.
    pub fn restore(&self, memory: &mut [u8]) -> bool {
        let turn = self.restored.fetch_add(1, Ordering::Relaxed);
        let scan = |pagemap: &PageMap| pagemap.written(memory, MAX_KEPT).ok();
        let written = match turn % ALL_DROPPED {
            0 => None,
            _ => self.pagemap.as_ref().and_then(scan),
        };
        let Some(written) = written else {
            return drop_pages(memory);
        };
        for run in written.runs() {
            for at in run.step_by(PAGE) {
                match (self.zero.get(at / PAGE), memory.get_mut(at..at + PAGE)) {
                    (Some(true), Some(page)) => page.fill(0),
                    (Some(false), Some(page)) => page.copy_from_slice(self.contents.page(at)),
                    _ => return false,
                }
            }
        }
        memory.get_mut(written.known..).is_none_or(drop_pages)
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
            None => Slot::new(capacity, guard, image.as_ref().map(|i| (&i.file, i.len)))
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
    fn new(capacity: usize, guard: usize, image: Option<(&File, usize)>) -> io::Result<Slot> {
        // An empty range cannot be mapped.
        let reserved = capacity.saturating_add(guard).max(PAGE);
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping, wherever the system likes.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), reserved, ProtFlags::empty(), flags)? };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mut slot = Slot {
            base,
            reserved,
            writable: 0,
        };
        // What is written is little, and is copied and zeroed by the page. A system without large pages refuses.
        // SAFETY: within the range that this owns.
        let _ = unsafe { madvise(base.as_ptr().cast(), reserved, Advice::LinuxNoHugepage) };
        if let Some((file, len)) = image.filter(|(_, len)| *len > 0) {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
            // SAFETY: within the range that this owns: an image is not larger than the memory.
            unsafe { mmap(base.as_ptr().cast(), len, access, flags, file, 0)? };
            slot.writable = len;
        }
        Ok(slot)
    }

    /// Makes the bytes up to `size` accessible; `size` is a multiple of the page size, and within the range.
    fn make_writable(&mut self, size: usize) -> io::Result<()> {
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

    /// A page of those that can be accessed, all of which nobody writes to.
    fn page(&self, at: usize) -> &[u8] {
        if at.saturating_add(PAGE) > self.writable {
            return &[];
        }
        // SAFETY: within what can be accessed of the range that this owns.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(at), PAGE) }
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

/// Drops the pages of a private mapping that were written, so that those of its file, or zeroes, come back. `false`: the system
/// refuses.
#[allow(unsafe_code)]
fn drop_pages(memory: &mut [u8]) -> bool {
    let start = memory.as_mut_ptr().cast();
    // SAFETY: only this has the memory, and any contents are valid.
    memory.is_empty() || unsafe { madvise(start, memory.len(), Advice::LinuxDontNeed) }.is_ok()
}

#[allow(unsafe_code)]
impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: it owns the range; there is nothing to be done about an error.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.reserved) };
    }
}
