//! Linear memories that start as a copy of another one's contents, page by page as they are written.
//!
//! The contents lie in a sealed memory file, which is mapped privately into the memory's reserved range. When an instance ends,
//! its mapping is reset and kept for the next one of the same snapshot. Where the instance itself is to start again, the pages
//! that it has written get their contents back and stay where they are: dropping them, and copying them again as they are
//! written, takes several times as long.

use std::cell::RefCell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType, Result};

use super::image::Image;
use super::slot::Slot;

/// Mappings that are kept for instances to come, of each snapshot.
const MAX_IDLE: usize = 64;

thread_local! {
    /// What the memory that is made next starts with.
    static NEXT: RefCell<Option<Arc<Image>>> = const { RefCell::new(None) };
    /// That of the memory that was made so.
    static MADE: RefCell<Option<Arc<Backing>>> = const { RefCell::new(None) };
}

/// Makes an instance whose memory starts with an image. `None` beside it: it has no memory.
pub(crate) fn with_image<R>(
    image: &Arc<Image>,
    instantiate: impl FnOnce() -> R,
) -> (R, Option<Arc<Backing>>) {
    NEXT.set(Some(image.clone()));
    let result = instantiate();
    NEXT.set(None);
    (result, MADE.take())
}

/// What a memory stands on.
pub(crate) struct Backing {
    /// There until the memory is dropped.
    slot: Mutex<Option<Slot>>,
    /// Bytes of the memory.
    size: AtomicUsize,
}

impl Backing {
    fn slot(&self) -> MutexGuard<'_, Option<Slot>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the memory has grown by from it, which must be zero by now; `false`: the system refuses. Wasmtime does not know
    /// of it yet.
    pub fn shrink(&self, size: usize) -> bool {
        let mut slot = self.slot();
        let shrunk = slot.as_mut().is_some_and(|slot| slot.forbid_from(size));
        if shrunk {
            self.size.store(size, Ordering::Relaxed);
        }
        shrunk
    }
}

/// Makes the memories of engines whose instances are started from snapshots.
pub(crate) struct Memories;

// SAFETY: Wasmtime's compiled code relies on three things. The memory has at least `minimum` accessible bytes, which are
// zero or, where an image was asked for, its contents: a slot is a new private mapping, or one that was reset. All of
// `capacity` and `guard` behind it is this memory's alone: `Slot::new` reserves both. It does not move: a slot never
// does.
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
        let size = image.as_ref().map_or(minimum, |image| image.size());
        let slot = match image.as_ref().and_then(|image| image.idle().pop()) {
            Some(slot) => slot,
            None => match &image {
                Some(image) => image.reserve(capacity, guard),
                None => Slot::new(capacity, guard, None),
            }
            .and_then(|mut slot| slot.make_writable(size).map(|()| slot))
            .map_err(|error| format!("{size} bytes of memory: {error}"))?,
        };
        let backing = Arc::new(Backing {
            slot: Mutex::new(Some(slot)),
            size: AtomicUsize::new(size),
        });
        if image.is_some() {
            MADE.set(Some(backing.clone()));
        }
        Ok(Box::new(Memory {
            backing,
            capacity,
            image,
        }))
    }
}

/// The memory of an instance.
struct Memory {
    backing: Arc<Backing>,
    capacity: usize,
    image: Option<Arc<Image>>,
}

// SAFETY: `as_ptr` is the start of a slot, which does not move and is there until this is dropped; `byte_size` counts
// bytes that are accessible, since it is set only after `make_writable`, and before `forbid_from` has any effect on a
// guest: a memory shrinks (`Backing::shrink`) only between calls, and Wasmtime reads the size again then.
#[allow(unsafe_code)]
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.backing.size.load(Ordering::Relaxed)
    }

    fn byte_capacity(&self) -> usize {
        self.capacity
    }

    fn grow_to(&mut self, size: usize) -> Result<()> {
        if size > self.capacity {
            return Err(wasmtime::Error::msg("more than is reserved"));
        }
        if let Some(slot) = self.backing.slot().as_mut() {
            slot.make_writable(size)?;
        }
        self.backing.size.store(size, Ordering::Relaxed);
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        let slot = self.backing.slot();
        slot.as_ref().map_or(ptr::null_mut(), Slot::as_ptr)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let (Some(slot), Some(image)) = (self.backing.slot().take(), &self.image) else {
            return;
        };
        if image.idle().len() < MAX_IDLE
            && let Some(slot) = slot.reset(image.size())
        {
            image.idle().push(slot);
        }
    }
}
