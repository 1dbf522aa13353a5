//! Finds the pages of a private mapping that have been written, by what Linux tells about a process's pages.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::process;

/// The unit of what this tells, in bytes. Where the system's pages are larger, it cannot tell.
pub(crate) const PAGE: usize = 4096;

/// Most runs of pages that one look tells of.
const MAX_RUNS: usize = 64;

/// Pages that are read at once.
const CHUNK: usize = 512;

// Names and values are those of Linux's `include/uapi/linux/fs.h`.
const PAGEMAP_SCAN: libc::Ioctl = 0xC060_6610_u32 as libc::Ioctl;
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

// And these of its `Documentation/admin-guide/mm/pagemap.rst`.
const PM_FILE: u64 = 1 << 61;
const PM_SWAP: u64 = 1 << 62;
const PM_PRESENT: u64 = 1 << 63;

/// `struct pm_scan_arg`
#[repr(C)]
#[derive(Default)]
struct Scan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region`
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// What is known of the pages of a process.
pub(crate) struct PageMap {
    file: File,
    /// Whose pages the file tells, also to the processes that are forked from it.
    process: u32,
}

/// Bytes of a page of the system's.
#[allow(unsafe_code)]
fn page_size() -> usize {
    // SAFETY: it only asks. (Not by rustix, which reads a page of the system's that is not there under valgrind.)
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(0)
}

/// The pages of a piece of memory that have been written.
pub(crate) struct Written {
    regions: [Region; MAX_RUNS],
    count: usize,
    /// Address of the memory.
    base: u64,
    /// So far the pages are known, in bytes from the start of the memory.
    pub known: usize,
}

impl PageMap {
    /// `None`: the system does not let this process see it.
    pub fn open() -> Option<PageMap> {
        if page_size() != PAGE {
            return None;
        }
        Some(PageMap {
            file: File::open("/proc/self/pagemap").ok()?,
            process: process::id(),
        })
    }

    /// Finds the pages that have been written since they were mapped, of memory that starts at a page and is mapped privately:
    /// so many of them at the most. There may be some that were only read among them, where they are zero.
    ///
    /// An error, among others, in a process that was forked from the one that has opened this.
    pub fn written(&self, memory: &[u8], most: usize) -> io::Result<Written> {
        if process::id() != self.process {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let scanned = self.scan(memory, most);
        // Before Linux 6.7.
        scanned.or_else(|_| self.read(memory, most))
    }

    fn scan(&self, memory: &[u8], most: usize) -> io::Result<Written> {
        let mut written = Written::new(memory);
        let mut scan = Scan {
            size: size_of::<Scan>() as u64,
            start: written.base,
            end: written.base + memory.len() as u64,
            vec: written.regions.as_mut_ptr() as u64,
            vec_len: MAX_RUNS as u64,
            max_pages: most as u64,
            // A page that was written is the process's own: neither the file's nor the one page of zeroes. It may be swapped.
            category_inverted: PAGE_IS_FILE | PAGE_IS_PFNZERO,
            category_mask: PAGE_IS_FILE | PAGE_IS_PFNZERO,
            category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            ..Scan::default()
        };
        written.count = scan_pages(&self.file, &mut scan)?;
        written.known = scan.walk_end.saturating_sub(written.base) as usize;
        Ok(written)
    }

    fn read(&self, memory: &[u8], mut most: usize) -> io::Result<Written> {
        let mut written = Written::new(memory);
        let mut buffer = [0; CHUNK * 8];
        while written.known < memory.len() {
            let pages = ((memory.len() - written.known) / PAGE).min(CHUNK);
            let entries = &mut buffer[..pages * 8];
            let at = (written.base as usize + written.known) / PAGE * 8;
            self.file.read_exact_at(entries, at as u64)?;
            for entry in entries.as_chunks().0 {
                let entry = u64::from_ne_bytes(*entry);
                if entry & (PM_PRESENT | PM_SWAP) != 0 && entry & PM_FILE == 0 {
                    if most == 0 || !written.push() {
                        return Ok(written);
                    }
                    most -= 1;
                }
                written.known += PAGE;
            }
        }
        Ok(written)
    }
}

/// Answers how many regions there are.
#[allow(unsafe_code)]
fn scan_pages(pagemap: &File, scan: &mut Scan) -> io::Result<usize> {
    // SAFETY: the system writes to `scan` and, up to `vec_len`, to the regions that `vec` points to: an array of so many,
    // which `PageMap::scan` has and does not touch meanwhile. It only looks at the pages between `start` and `end`.
    let count = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut *scan) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

impl Written {
    fn new(memory: &[u8]) -> Written {
        Written {
            regions: [Region::default(); MAX_RUNS],
            count: 0,
            base: memory.as_ptr() as u64,
            known: 0,
        }
    }

    /// Adds the page behind what is known; `false`: there is no room.
    fn push(&mut self) -> bool {
        let start = self.base + self.known as u64;
        let end = start + PAGE as u64;
        let last = self.count.checked_sub(1);
        match last.and_then(|last| self.regions.get_mut(last)) {
            Some(last) if last.end == start => last.end = end,
            _ => {
                let Some(next) = self.regions.get_mut(self.count) else {
                    return false;
                };
                (next.start, next.end) = (start, end);
                self.count += 1;
            }
        }
        true
    }

    /// Runs of pages, in bytes from the start of the memory.
    pub fn runs(&self) -> impl Iterator<Item = Range<usize>> {
        let place = |address: u64| address.saturating_sub(self.base) as usize;
        let regions = self.regions.iter().take(self.count);
        regions.map(move |region| place(region.start)..place(region.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Page-aligned memory, none of which has been written.
    fn fresh(pages: usize) -> &'static mut [u8] {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let len = pages * PAGE;
        // SAFETY: a new mapping, which stays.
        #[allow(unsafe_code)]
        unsafe {
            let base = mmap_anonymous(std::ptr::null_mut(), len, access, MapFlags::PRIVATE);
            std::slice::from_raw_parts_mut(base.unwrap().cast(), len)
        }
    }

    #[test]
    fn both_ways_tell_the_written_pages() {
        let map = PageMap::open().unwrap();
        let memory = fresh(1200);
        for page in [0, 1, 2, 511, 512, 700, 1199] {
            memory[page * PAGE + 17] = 1;
        }
        let expected = [
            0..3 * PAGE,
            511 * PAGE..513 * PAGE,
            700 * PAGE..701 * PAGE,
            1199 * PAGE..1200 * PAGE,
        ];
        let read = map.read(memory, 7).unwrap();
        assert_eq!(read.runs().collect::<Vec<_>>(), expected);
        assert_eq!(read.known, memory.len());
        match map.scan(memory, 8) {
            Ok(scanned) => {
                assert_eq!(scanned.runs().collect::<Vec<_>>(), expected);
                assert_eq!(scanned.known, memory.len());
            }
            // Before Linux 6.7.
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENOTTY)),
        }
    }

    #[test]
    fn what_is_beyond_the_most_is_not_known() {
        let map = PageMap::open().unwrap();
        let memory = fresh(300);
        for page in (0..300).step_by(2) {
            memory[page * PAGE] = 1;
        }
        type Look = fn(&PageMap, &[u8], usize) -> io::Result<Written>;
        for look in [PageMap::read as Look, PageMap::written] {
            for (most, found) in [(5, 5), (500, MAX_RUNS)] {
                let written = look(&map, memory, most).unwrap();
                assert_eq!(written.runs().count(), found);
                let pages = written.known / PAGE;
                assert!(pages >= 2 * found - 1 && pages <= 2 * found, "{pages}");
            }
        }
    }

    #[test]
    fn a_forked_process_is_told_nothing() {
        let map = PageMap::open().unwrap();
        let memory = fresh(4);
        memory[0] = 1;
        assert_eq!(map.written(memory, 4).unwrap().runs().count(), 1);
        let mut status = 0;
        // SAFETY: the child makes system calls only, and ends.
        #[allow(unsafe_code)]
        unsafe {
            match libc::fork() {
                0 => libc::_exit(map.written(memory, 4).is_err().into()),
                child => assert_eq!(libc::waitpid(child, &raw mut status, 0), child),
            }
        }
        assert!(libc::WIFEXITED(status));
        assert_eq!(libc::WEXITSTATUS(status), 1);
    }
}
