//! Memory and clean-ups of nginx's pools.

use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

use ngx::ffi::{
    ngx_pcalloc, ngx_pnalloc, ngx_pool_cleanup_add, ngx_pool_cleanup_t, ngx_pool_large_t,
    ngx_pool_t, ngx_str_t,
};

/// Bytes that nginx makes of a header line beside its name and value, roughly.
pub const LINE: usize = 64;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

/// Bytes that the module has taken from pools so far, for the difference between two calls; it wraps.
pub fn allocated() -> usize {
    ALLOCATED.load(Ordering::Relaxed)
}

/// Notes that so many bytes were taken from a pool.
pub fn count(bytes: usize) {
    // nginx has one thread, so nothing is lost.
    ALLOCATED.store(allocated().wrapping_add(bytes), Ordering::Relaxed);
}

/// Does something, and answers with its result how many bytes that took from the pool, be it that nginx's own code took them.
///
/// # Safety
/// `pool` is valid.
pub unsafe fn measured<R>(pool: *mut ngx_pool_t, act: impl FnOnce() -> R) -> (R, usize) {
    // SAFETY: `pool` is valid; memory is only taken from the current block on, and what is large goes into the
    // first places of its list (`ngx_palloc_block`, `ngx_palloc_large`).
    unsafe {
        let from = (*pool).current;
        let (small, large) = (in_blocks(from), (*pool).large);
        let before = places(large);
        let result = act();
        let mut taken = in_blocks(from).saturating_sub(small);
        let mut place = (*pool).large;
        while place != large
            && let Some(new) = place.as_ref()
        {
            taken += libc::malloc_usable_size(new.alloc);
            place = new.next;
        }
        for (old, new) in before.into_iter().zip(places(large)) {
            if old != new {
                taken += libc::malloc_usable_size(new);
            }
        }
        (result, taken)
    }
}

/// Bytes that are in use in this block of a pool and those behind it.
///
/// # Safety
/// `block` is one of a valid pool's.
unsafe fn in_blocks(mut block: *mut ngx_pool_t) -> usize {
    let mut bytes = 0;
    // SAFETY: `block` is one of a valid pool's; each leads to the next, and is in use up to `last`.
    while let Some(this) = unsafe { block.as_ref() } {
        bytes += this.d.last.addr().saturating_sub(block.addr());
        block = this.d.next;
    }
    bytes
}

/// What is at the first places of a list of large allocations, which nginx uses again when they are free.
///
/// # Safety
/// `large` is of a valid pool.
unsafe fn places(mut large: *mut ngx_pool_large_t) -> [*mut c_void; 5] {
    let mut all = [std::ptr::null_mut(); 5];
    for place in &mut all {
        // SAFETY: `large` is of a valid pool.
        if let Some(this) = unsafe { large.as_ref() } {
            *place = this.alloc;
            large = this.next;
        }
    }
    all
}

/// Copies `bytes` into the pool; `None` when memory is out. A NUL behind them is not counted:
/// nginx parses some header values up to it.
///
/// # Safety
/// `pool` is valid.
pub unsafe fn copy(pool: *mut ngx_pool_t, bytes: &[u8]) -> Option<ngx_str_t> {
    // SAFETY: the allocation holds `bytes.len()` bytes and the NUL, and is new, so it overlaps
    // nothing.
    count(bytes.len() + 1);
    unsafe {
        let data: *mut u8 = ngx_pnalloc(pool, bytes.len() + 1).cast();
        if data.is_null() {
            return None;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), data, bytes.len());
        data.add(bytes.len()).write(0);
        Some(ngx_str_t {
            data,
            len: bytes.len(),
        })
    }
}

/// A zeroed `T` in the pool; null when memory is out.
///
/// # Safety
/// `pool` is valid, and all zeroes is a valid `T`, as for nginx's own structures.
pub unsafe fn zeroed<T>(pool: *mut ngx_pool_t) -> *mut T {
    // SAFETY: `pool` is valid, and all zeroes is a valid `T`, as for nginx's own structures; ngx_pcalloc aligns
    // for any C structure.
    unsafe { ngx_pcalloc(pool, size_of::<T>()).cast() }
}

/// Has `handler(data)` called when the pool is destroyed; null when memory is out.
///
/// # Safety
/// `pool` is valid, and `handler` accepts `data` at that time.
pub unsafe fn on_destroy(
    pool: *mut ngx_pool_t,
    handler: unsafe extern "C" fn(*mut c_void),
    data: *mut c_void,
) -> *mut ngx_pool_cleanup_t {
    // SAFETY: a clean-up of size 0 is only linked into the pool's list.
    unsafe {
        let cleanup = ngx_pool_cleanup_add(pool, 0);
        if let Some(cleanup) = cleanup.as_mut() {
            cleanup.handler = Some(handler);
            cleanup.data = data;
        }
        cleanup
    }
}

/// Moves `value` to the heap, to be dropped with the pool; null when memory is out.
///
/// # Safety
/// `pool` is valid, and nothing uses the value after the pool is destroyed.
pub unsafe fn boxed<T>(pool: *mut ngx_pool_t, value: T) -> *mut T {
    unsafe extern "C" fn drop_box<T>(data: *mut c_void) {
        // SAFETY: `data` came from `Box::into_raw` below and is dropped here alone. A panic in a
        // `drop` must not unwind into nginx.
        let _ = std::panic::catch_unwind(|| unsafe { drop(Box::from_raw(data.cast::<T>())) });
    }
    let data = Box::into_raw(Box::new(value));
    // SAFETY: `drop_box` takes what it is given here, once.
    unsafe {
        if on_destroy(pool, drop_box::<T>, data.cast()).is_null() {
            drop(Box::from_raw(data));
            return std::ptr::null_mut();
        }
    }
    data
}
