//! Finds the pages of a private mapping that have been written, by what Linux (6.7 and later) tells about a process's pages.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

/// Most runs of pages that one scan tells of.
const MAX_RUNS: usize = 64;

// Names and values are those of Linux's `include/uapi/linux/fs.h`.
const PAGEMAP_SCAN: libc::Ioctl = 0xC060_6610_u32 as libc::Ioctl;
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

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

/// What is known of the pages of this process; not of those that are forked from it.
pub(crate) struct PageMap(File);

/// The pages of a piece of memory that have been written.
pub(crate) struct Written {
    regions: [Region; MAX_RUNS],
    count: usize,
    base: u64,
    /// So far the pages are known, in bytes from the start of the memory.
    pub known: usize,
}

impl PageMap {
    /// `None`: the system does not let this process see it.
    pub fn open() -> Option<PageMap> {
        File::open("/proc/self/pagemap").ok().map(PageMap)
    }

    /// Finds the pages that have been written since they were mapped, of memory that starts at a page and is mapped privately:
    /// so many of them at the most. An error, too, when the system cannot do it.
    pub fn written(&self, memory: &[u8], most: usize) -> io::Result<Written> {
        let base = memory.as_ptr() as u64;
        let mut written = Written {
            regions: [Region::default(); MAX_RUNS],
            count: 0,
            base,
            known: 0,
        };
        let mut scan = Scan {
            size: size_of::<Scan>() as u64,
            start: base,
            end: base + memory.len() as u64,
            vec: written.regions.as_mut_ptr() as u64,
            vec_len: MAX_RUNS as u64,
            max_pages: most as u64,
            // A page that was written is the process's own: neither the file's nor the one page of zeroes. It may be swapped.
            category_inverted: PAGE_IS_FILE | PAGE_IS_PFNZERO,
            category_mask: PAGE_IS_FILE | PAGE_IS_PFNZERO,
            category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            ..Scan::default()
        };
        written.count = scan_pages(&self.0, &mut scan)?;
        written.known = scan.walk_end.saturating_sub(base) as usize;
        Ok(written)
    }
}

/// Answers how many regions there are.
#[allow(unsafe_code)]
fn scan_pages(pagemap: &File, scan: &mut Scan) -> io::Result<usize> {
    // SAFETY: the system writes to `scan` and, up to `vec_len`, to the regions that it points to, which are their caller's; it
    // only looks at the pages between `start` and `end`.
    let count = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut *scan) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

impl Written {
    /// Runs of pages, in bytes from the start of the memory.
    pub fn runs(&self) -> impl Iterator<Item = Range<usize>> {
        let place = |address: u64| (address - self.base) as usize;
        let regions = self.regions[..self.count.min(MAX_RUNS)].iter();
        regions.map(move |region| place(region.start)..place(region.end))
    }
}
