//! nginx's buffers and chains.

use ngx::ffi::{ngx_alloc_chain_link, ngx_buf_t, ngx_chain_t, ngx_chain_update_chains, ngx_pool_t};

use crate::nginx::pool;
use crate::nginx::request::Request;

/// Iterates over the buffers of a chain.
///
/// # Safety
/// `chain` is null or a valid chain that does not change meanwhile.
pub unsafe fn iter(chain: *mut ngx_chain_t) -> impl Iterator<Item = *mut ngx_buf_t> {
    let mut link = chain;
    std::iter::from_fn(move || {
        // SAFETY: `chain` is null or a valid chain that does not change meanwhile.
        let current = unsafe { link.as_ref()? };
        link = current.next;
        Some(current.buf)
    })
}

/// Does it hold bytes in memory (macro `ngx_buf_in_memory`)?
///
/// # Safety
/// `buf` is valid.
pub unsafe fn in_memory(buf: *const ngx_buf_t) -> bool {
    // SAFETY: `buf` is valid.
    unsafe { (*buf).temporary() != 0 || (*buf).memory() != 0 || (*buf).mmap() != 0 }
}

/// Bytes left in it (macro `ngx_buf_size`).
///
/// # Safety
/// `buf` is valid.
pub unsafe fn size(buf: *const ngx_buf_t) -> usize {
    // SAFETY: `pos..last` is one allocation in a valid buffer.
    unsafe {
        if in_memory(buf) {
            (*buf).last.offset_from((*buf).pos).max(0) as usize
        } else if (*buf).in_file() != 0 {
            ((*buf).file_last - (*buf).file_pos).max(0) as usize
        } else {
            0
        }
    }
}

/// Does it end the response of `request`? That of the first slice ends without the flag, for others follow.
///
/// # Safety
/// `buf` is valid.
pub unsafe fn ends(buf: *const ngx_buf_t, request: Request) -> bool {
    // SAFETY: `buf` is valid.
    unsafe {
        if request.is_main() {
            (*buf).last_buf() != 0 || ((*buf).last_in_chain() != 0 && request.is_sliced())
        } else {
            (*buf).last_in_chain() != 0 || (*buf).last_buf() != 0
        }
    }
}

/// Marks all of its bytes as used, which gives it back to its owner.
///
/// # Safety
/// `buf` is valid, and nothing reads its bytes any more.
pub unsafe fn consume(buf: *mut ngx_buf_t) {
    // SAFETY: `buf` is valid, and nothing reads its bytes any more.
    unsafe {
        (*buf).pos = (*buf).last;
        (*buf).file_pos = (*buf).file_last;
    }
}

/// Chains of the buffers that a filter made itself: sent on and not yet used up, and free again.
pub struct Output {
    free: *mut ngx_chain_t,
    busy: *mut ngx_chain_t,
    tag: *mut std::ffi::c_void,
}

impl Output {
    /// `tag` tells the filter's own buffers from others.
    pub const fn new(tag: *mut std::ffi::c_void) -> Output {
        Output {
            free: std::ptr::null_mut(),
            busy: std::ptr::null_mut(),
            tag,
        }
    }

    /// Bytes that were sent on and that the next filters have not yet used up.
    ///
    /// # Safety
    /// The request that the chains belong to is live.
    pub unsafe fn busy(&self) -> usize {
        // SAFETY: the request that the chains belong to is live; links and buffers of `busy` are valid.
        unsafe { iter(self.busy).map(|buf| size(buf)).sum() }
    }

    /// Has all that was sent on been used up?
    pub fn is_empty(&self) -> bool {
        self.busy.is_null()
    }

    /// A link with an empty buffer of this filter; null when memory is out.
    ///
    /// # Safety
    /// `pool` is the pool of the request that the chains belong to.
    pub unsafe fn fresh(&mut self, pool: *mut ngx_pool_t) -> *mut ngx_chain_t {
        // SAFETY: links of `free` are valid and owned by this filter.
        unsafe {
            if let Some(link) = self.free.as_mut() {
                self.free = link.next;
                link.next = std::ptr::null_mut();
                std::ptr::write_bytes(link.buf, 0, 1);
                (*link.buf).tag = self.tag;
                return link;
            }
            let buf: *mut ngx_buf_t = pool::zeroed(pool);
            if buf.is_null() {
                return std::ptr::null_mut();
            }
            (*buf).tag = self.tag;
            self.link(pool, buf)
        }
    }

    /// A link with somebody else's buffer; null when memory is out.
    ///
    /// # Safety
    /// As for [`Output::fresh`]; `buf` is valid until the next filters have used it up.
    pub unsafe fn link(&mut self, pool: *mut ngx_pool_t, buf: *mut ngx_buf_t) -> *mut ngx_chain_t {
        // SAFETY: `pool` is the pool of the request that the chains belong to; `buf` is valid until the next
        // filters have used it up.
        unsafe {
            let link = ngx_alloc_chain_link(pool);
            if let Some(link) = link.as_mut() {
                link.buf = buf;
                link.next = std::ptr::null_mut();
            }
            link
        }
    }

    /// Takes back what `sent`, a chain just passed to the next filter, and earlier chains no
    /// longer need, and calls `freed` for each of this filter's buffers among them.
    ///
    /// # Safety
    /// As for [`Output::fresh`].
    pub unsafe fn sent(
        &mut self,
        pool: *mut ngx_pool_t,
        mut sent: *mut ngx_chain_t,
        mut freed: impl FnMut(*mut ngx_buf_t),
    ) {
        // SAFETY: the links are valid; ngx_chain_update_chains moves those used up to `free`.
        unsafe {
            let before = std::mem::replace(&mut self.free, std::ptr::null_mut());
            ngx_chain_update_chains(pool, &mut self.free, &mut self.busy, &mut sent, self.tag);
            for buf in iter(self.free) {
                freed(buf);
            }
            let mut last = &raw mut self.free;
            while !(*last).is_null() {
                last = &raw mut (**last).next;
            }
            *last = before;
        }
    }
}

/// Takes the first link off `chain` and frees the link, not the buffer.
///
/// # Safety
/// `chain` is a valid chain of links from `pool`.
pub unsafe fn pop(pool: *mut ngx_pool_t, chain: &mut *mut ngx_chain_t) -> Option<*mut ngx_buf_t> {
    // SAFETY: `chain` is a valid chain of links from `pool`; macro `ngx_free_chain` puts the link on the pool's
    // free list.
    unsafe {
        let link = chain.as_mut()?;
        let buf = link.buf;
        *chain = link.next;
        link.next = (*pool).chain;
        (*pool).chain = link;
        Some(buf)
    }
}
