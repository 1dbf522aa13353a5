//! nginx's slab allocator (`ngx_slab_pool_t`) and its lock, over a shared zone or over memory of
//! this process alone.

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use ngx::ffi::{
    ngx_pagesize, ngx_shm_zone_t, ngx_shmtx_create, ngx_shmtx_lock, ngx_shmtx_unlock,
    ngx_slab_alloc_locked, ngx_slab_free_locked, ngx_slab_init, ngx_slab_pool_t, ngx_uint_t,
};

/// Bytes of a page of memory.
pub fn page_size() -> usize {
    // SAFETY: nginx sets it before it reads any configuration.
    unsafe { ngx_pagesize }
}

/// Memory that nginx's slab allocator divides.
pub struct Memory {
    pool: NonNull<ngx_slab_pool_t>,
    /// Bytes of private memory, to free it.
    private: Option<usize>,
}

impl Memory {
    /// A shared zone's; `None` as long as nginx has not mapped it.
    ///
    /// # Safety
    /// `zone` is a zone of nginx's, and stays mapped as long as this value is used.
    pub unsafe fn shared(zone: *const ngx_shm_zone_t) -> Option<Memory> {
        // SAFETY: nginx puts the pool at the start of the zone (`ngx_init_zone_pool`), and maps
        // it at one address in all processes, for they are forks of one.
        let pool = NonNull::new(unsafe { (*zone).shm.addr.cast() })?;
        Some(Memory {
            pool,
            private: None,
        })
    }

    /// Memory of this process alone, freed with this value; `None` when there is not enough.
    pub fn private(size: usize) -> Option<Memory> {
        if size < crate::shm::zone::minimum_size() {
            return None;
        }
        let memory = map(size)?;
        // SAFETY: there is room for the pool, and all is zero; what nginx does in
        // `ngx_init_zone_pool` is done to it. Without spinning, and only then, the lock uses no
        // semaphore; it is never contended.
        unsafe {
            let pool = memory.cast::<ngx_slab_pool_t>();
            let p = pool.as_ptr();
            (*p).end = memory.as_ptr().add(size);
            (*p).min_shift = 3;
            (*p).addr = memory.as_ptr().cast();
            (*p).mutex.spin = ngx_uint_t::MAX;
            ngx_shmtx_create(&mut (*p).mutex, &raw mut (*p).lock, ptr::null_mut());
            ngx_slab_init(p);
            Some(Memory {
                pool,
                private: Some(size),
            })
        }
    }

    /// Waits until no other process holds the lock. It must not be held by this one.
    pub fn lock(&self) -> Slab<'_> {
        // SAFETY: the pool is there as long as this value.
        unsafe { ngx_shmtx_lock(&raw mut (*self.pool.as_ptr()).mutex) };
        Slab { memory: self }
    }

    /// Bytes from the start of the zone to its end.
    pub fn size(&self) -> usize {
        // SAFETY: the pool is there as long as this value; both are set once.
        unsafe {
            let pool = self.pool.as_ptr();
            (*pool).end as usize - pool as usize
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(size) = self.private {
            // SAFETY: `private` mapped it so.
            unsafe { libc::munmap(self.pool.as_ptr().cast(), size) };
        }
    }
}

/// Zeroed memory; only the pages that are written to come to be. An allocator would write to all of them where it hands
/// out memory for another time, and zones can be large.
fn map(size: usize) -> Option<NonNull<u8>> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, at a place of the system's choice.
    let memory = unsafe { libc::mmap(ptr::null_mut(), size, access, flags, -1, 0) };
    match memory {
        libc::MAP_FAILED => None,
        memory => NonNull::new(memory.cast()),
    }
}

/// The allocator, with its lock held until this value goes.
pub struct Slab<'a> {
    memory: &'a Memory,
}

impl Slab<'_> {
    fn pool(&self) -> *mut ngx_slab_pool_t {
        self.memory.pool.as_ptr()
    }

    /// Allocates `size` bytes, with undefined contents; aligned for every type that is not larger
    /// than they, up to a page. `None` when there are none; nginx logs nothing.
    pub fn alloc(&mut self, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the lock is held.
        unsafe {
            (*self.pool()).set_log_nomem(0);
            NonNull::new(ngx_slab_alloc_locked(self.pool(), size).cast())
        }
    }

    /// Gives an allocation back.
    ///
    /// # Safety
    /// `memory` came from `alloc` of this zone, and nothing leads to it any more.
    pub unsafe fn free(&mut self, memory: NonNull<u8>) {
        // SAFETY: the lock is held; the rest by the contract.
        unsafe { ngx_slab_free_locked(self.pool(), memory.as_ptr().cast()) };
    }

    /// Bytes that an allocation of `size` really has: a power of two, or whole pages.
    pub fn usable(size: usize) -> usize {
        match size {
            0..=8 => 8,
            _ if size > page_size() / 2 => size.next_multiple_of(page_size()),
            _ => size.next_power_of_two(),
        }
    }

    /// Bytes of the zone.
    pub fn size(&self) -> usize {
        self.memory.size()
    }

    /// Bytes in pages that nothing is in.
    pub fn free_bytes(&self) -> usize {
        // SAFETY: the lock is held.
        unsafe { (*self.pool()).pfree * page_size() }
    }

    /// Where the zone's structures begin; null in a new zone.
    pub fn data(&self) -> *mut c_void {
        // SAFETY: the lock is held.
        unsafe { (*self.pool()).data }
    }

    pub fn set_data(&mut self, data: *mut c_void) {
        // SAFETY: the lock is held.
        unsafe { (*self.pool()).data = data };
    }

    /// Makes the whole zone free again, whatever state the allocator is in.
    ///
    /// # Safety
    /// Nothing that was allocated is used any more, by any process.
    pub unsafe fn clear(&mut self) {
        self.set_data(ptr::null_mut());
        // SAFETY: the lock is held; it sets all of the allocator, and leaves the lock alone.
        unsafe { ngx_slab_init(self.pool()) };
    }
}

impl Drop for Slab<'_> {
    fn drop(&mut self) {
        // SAFETY: `lock` has locked it.
        unsafe { ngx_shmtx_unlock(&raw mut (*self.pool()).mutex) };
    }
}
