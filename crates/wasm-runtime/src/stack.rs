//! The stacks of guests that wait.
//!
//! A guest that can wait runs on a stack of its own, a fiber's, which stays as it is meanwhile. Making one takes two system
//! calls and the faults of its first pages, so some are kept.

use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap,
};
use wasmtime::{Error, StackCreator, StackMemory};

/// Bytes of a fiber's stack beyond the guest's own, for what the guest calls in the host.
pub(crate) const HOST: usize = 256 << 10;

/// Inaccessible bytes below a stack: more than any frame that is not probed page by page.
const GUARD: usize = 64 << 10;

/// Stacks that an engine keeps.
const MAX_IDLE: usize = 32;

/// Bytes of a kept stack whose pages stay; the rest is given back.
const KEPT: usize = 32 << 10;

/// Makes the stacks of an engine.
#[derive(Default)]
pub(crate) struct Stacks {
    idle: Arc<Mutex<Vec<Mapping>>>,
}

/// A stack with its guard below it.
struct Mapping {
    base: NonNull<u8>,
    /// Bytes of the stack.
    size: usize,
}

// SAFETY: it owns its range.
#[allow(unsafe_code)]
unsafe impl Send for Mapping {}
// SAFETY: there is nothing to do with a shared reference but to ask for addresses.
#[allow(unsafe_code)]
unsafe impl Sync for Mapping {}

#[allow(unsafe_code)]
impl Mapping {
    /// `size` is made a multiple of the page size.
    fn new(size: usize) -> io::Result<Mapping> {
        let size = size.next_multiple_of(GUARD);
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping, wherever the system likes.
        let base =
            unsafe { mmap_anonymous(ptr::null_mut(), GUARD + size, ProtFlags::empty(), flags)? };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Mapping { base, size };
        let stack = mapping.bottom().cast();
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: within the range that was just mapped.
        unsafe { mprotect(stack, size, access)? };
        // Little of it is used. A system without large pages refuses.
        // SAFETY: as little: within that range, and only how it is backed changes.
        let _ = unsafe { madvise(stack, size, Advice::LinuxNoHugepage) };
        Ok(mapping)
    }

    fn bottom(&self) -> *mut u8 {
        self.base.as_ptr().wrapping_add(GUARD)
    }

    fn top(&self) -> *mut u8 {
        self.bottom().wrapping_add(self.size)
    }

    /// Gives the pages back that only deep calls have used. `false`: the system refuses.
    fn trim(&self) -> bool {
        let len = self.size.saturating_sub(KEPT);
        // SAFETY: within the range that this owns; no fiber uses it any more, and any contents will do for the next.
        unsafe { madvise(self.bottom().cast(), len, Advice::LinuxDontNeed) }.is_ok()
    }
}

#[allow(unsafe_code)]
impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it owns the range; there is nothing to be done about an error.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), GUARD + self.size) };
    }
}

fn lock(idle: &Mutex<Vec<Mapping>>) -> MutexGuard<'_, Vec<Mapping>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

// SAFETY: each stack is a mapping of its own, page-aligned, as large as asked for or larger, zero or what an earlier fiber has
// left (Wasmtime asks for zeroes only with a setting that is off, and then gets a new one), with its guard below.
#[allow(unsafe_code)]
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, zeroed: bool) -> Result<Box<dyn StackMemory>, Error> {
        let kept = match zeroed {
            true => None,
            false => lock(&self.idle).pop(),
        };
        let mapping = match kept.filter(|kept| kept.size >= size) {
            Some(mapping) => mapping,
            None => Mapping::new(size)
                .map_err(|error| Error::msg(format!("{size} bytes of stack: {error}")))?,
        };
        Ok(Box::new(Stack {
            mapping: Some(mapping),
            idle: self.idle.clone(),
        }))
    }
}

/// A stack in use.
struct Stack {
    /// There until it is dropped.
    mapping: Option<Mapping>,
    idle: Arc<Mutex<Vec<Mapping>>>,
}

// SAFETY: a mapping of its own, page-aligned, whose size is a multiple of the page size, with a guard below it.
#[allow(unsafe_code)]
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        self.mapping.as_ref().map_or(ptr::null_mut(), Mapping::top)
    }

    fn range(&self) -> Range<usize> {
        let mapping = self.mapping.as_ref();
        mapping.map_or(0..0, |m| m.bottom() as usize..m.top() as usize)
    }

    fn guard_range(&self) -> Range<*mut u8> {
        let mapping = self.mapping.as_ref();
        mapping.map_or(ptr::null_mut()..ptr::null_mut(), |m| {
            m.base.as_ptr()..m.bottom()
        })
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let Some(mapping) = self.mapping.take() else {
            return;
        };
        if lock(&self.idle).len() < MAX_IDLE && mapping.trim() {
            lock(&self.idle).push(mapping);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_used_again_without_their_deep_pages() {
        let stacks = Stacks::default();
        let first = stacks.new_stack(300 << 10, false).unwrap();
        let range = first.range();
        assert!(range.len() >= 300 << 10);
        assert_eq!(first.top() as usize, range.end);
        assert_eq!(first.guard_range().end as usize, range.start);
        let second = stacks.new_stack(300 << 10, false).unwrap();
        assert_ne!(second.range(), range);
        drop(first);
        assert_eq!(stacks.new_stack(300 << 10, false).unwrap().range(), range);
        drop(second);
        assert!(lock(&stacks.idle).len() <= 2);
    }

    #[test]
    fn a_stack_that_is_too_small_is_not_used_again() {
        let stacks = Stacks::default();
        drop(stacks.new_stack(64 << 10, false).unwrap());
        assert!(stacks.new_stack(1 << 20, false).unwrap().range().len() >= 1 << 20);
    }
}
