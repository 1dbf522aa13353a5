//! The contents that memories start with, and get back.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pagemap::{PAGE, PageMap};
use super::slot::{Slot, drop_pages};
use crate::artifact::MemoryFile;

/// Pages of a memory that stay when it starts again; those above them are dropped.
const MAX_KEPT: usize = 64;

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

    /// Gives a memory that started with this image its contents back, and zeroes what it has grown by; `false`: the system
    /// refuses.
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
                let Some(page) = memory.get_mut(at..at + PAGE) else {
                    return false;
                };
                match self.zero.get(at / PAGE) {
                    Some(false) => page.copy_from_slice(self.contents.page(at)),
                    _ => page.fill(0),
                }
            }
        }
        memory.get_mut(written.known..).is_none_or(drop_pages)
    }

    /// A range for a memory that starts with this image.
    pub fn reserve(&self, capacity: usize, guard: usize) -> io::Result<Slot> {
        Slot::new(capacity, guard, Some((&self.file, self.len)))
    }

    /// Ranges that wait for a memory.
    pub fn idle(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 200 * PAGE;

    /// Numbers that look random, the same each time.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as usize % limit
        }
    }

    /// Memory with pages of zeroes in the midst and at its end.
    fn contents() -> Vec<u8> {
        let mut bytes = vec![0; SIZE];
        for page in [0, 1, 2, 40, 41, 90, 120] {
            bytes[page * PAGE..][..PAGE].fill(page as u8 + 1);
        }
        bytes
    }

    fn memory(image: &Image) -> (Slot, &'static mut [u8]) {
        let mut slot = image.reserve(2 * SIZE, 0).unwrap();
        slot.make_writable(SIZE).unwrap();
        // SAFETY: the slot, which the caller keeps as long, has made these bytes accessible, and nothing else refers to them.
        #[allow(unsafe_code)]
        let memory = unsafe { std::slice::from_raw_parts_mut(slot.as_ptr(), SIZE) };
        (slot, memory)
    }

    /// Writes here and there and everywhere, again and again, in two memories of the same image.
    fn restores(image: &Image) {
        let contents = contents();
        let (first, memory_1) = memory(image);
        let (second, memory_2) = memory(image);
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        for round in 0..3 * ALL_DROPPED {
            let memory = match numbers.below(3) {
                0 => &mut *memory_1,
                _ => &mut *memory_2,
            };
            assert!(*memory == contents[..], "before round {round}");
            let writes = [0, 1, 3, 10, MAX_KEPT, 300, 2000][numbers.below(7)];
            for _ in 0..writes {
                let at = numbers.below(SIZE);
                memory[at] ^= 1 + numbers.below(255) as u8;
            }
            if numbers.below(20) == 0 {
                memory.fill(0xA7);
            }
            assert!(image.restore(memory), "round {round}");
            assert!(*memory == contents[..], "after round {round}");
        }
        drop((first, second));
    }

    #[test]
    fn memories_get_their_contents_back() {
        restores(&Image::new(&contents()).unwrap());
    }

    #[test]
    fn where_the_system_tells_nothing_of_pages() {
        let mut image = Image::new(&contents()).unwrap();
        Arc::get_mut(&mut image).unwrap().pagemap = None;
        restores(&image);
    }

    #[test]
    fn memories_without_contents() {
        for bytes in [&[][..], &[0; 16 * PAGE]] {
            let image = Image::new(bytes).unwrap();
            assert_eq!(image.len, 0);
            let (_slot, memory) = memory(&image);
            let memory = &mut memory[..bytes.len()];
            for _ in 0..3 {
                memory.fill(1);
                assert!(image.restore(memory));
                assert!(*memory == *bytes);
            }
        }
    }

    #[test]
    fn few_pages_stay_and_many_go() {
        let image = Image::new(&contents()).unwrap();
        let (_slot, memory) = memory(&image);
        let pagemap = PageMap::open().unwrap();
        let kept = |memory: &[u8]| {
            let written = pagemap.written(memory, usize::MAX).unwrap();
            written.runs().map(|run| run.len() / PAGE).sum::<usize>()
        };
        assert!(image.restore(memory));
        memory[..3 * PAGE].fill(9);
        assert!(image.restore(memory));
        assert_eq!(kept(memory), 3);
        memory.fill(9);
        assert!(image.restore(memory));
        assert_eq!(kept(memory), MAX_KEPT);
        // From time to time all of them go.
        for _ in 3..=ALL_DROPPED {
            assert!(image.restore(memory));
        }
        assert_eq!(kept(memory), 0);
    }
}
