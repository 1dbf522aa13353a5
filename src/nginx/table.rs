//! Lists of header lines (`ngx_list_t` of `ngx_table_elt_t`).

use ngx::ffi::{ngx_list_push, ngx_list_t, ngx_pool_t, ngx_table_elt_t};

use crate::nginx::pool;

/// Iterates over all lines, also those that are switched off (`hash` 0).
///
/// # Safety
/// `list` is a valid list of header lines, and lines are neither added nor removed meanwhile.
pub unsafe fn iter(list: *const ngx_list_t) -> impl Iterator<Item = *mut ngx_table_elt_t> {
    // SAFETY: `list` is a valid list of header lines, and lines are neither added nor removed meanwhile.
    let mut part = unsafe { &raw const (*list).part };
    let mut index = 0;
    std::iter::from_fn(move || {
        loop {
            // SAFETY: parts are valid up to `nelts` elements; the last has no next.
            unsafe {
                let current = part.as_ref()?;
                if index < current.nelts {
                    index += 1;
                    return Some(current.elts.cast::<ngx_table_elt_t>().add(index - 1));
                }
                part = current.next;
                index = 0;
            }
        }
    })
}

/// The name of a line as it was received or set.
///
/// # Safety
/// `line` is valid; the result lives as long as the request.
pub unsafe fn key<'a>(line: *const ngx_table_elt_t) -> &'a [u8] {
    // SAFETY: `line` is valid; the result lives as long as the request; nginx allocates keys and values in the
    // request's pool.
    unsafe { (*line).key.as_bytes() }
}

/// The value of a line.
///
/// # Safety
/// As for [`key`].
pub unsafe fn value<'a>(line: *const ngx_table_elt_t) -> &'a [u8] {
    // SAFETY: `line` is valid; the result lives as long as the request; nginx allocates keys and values in the
    // request's pool.
    unsafe { (*line).value.as_bytes() }
}

/// A new line at the end; null when memory is out.
///
/// # Safety
/// `list` and `pool` belong to one live request.
pub unsafe fn push(
    list: *mut ngx_list_t,
    pool: *mut ngx_pool_t,
    key: &[u8],
    value: &[u8],
) -> *mut ngx_table_elt_t {
    // SAFETY: ngx_list_push returns room for one element or null.
    unsafe {
        let Some(line) = make(pool, key, value) else {
            return std::ptr::null_mut();
        };
        pool::count(size_of::<ngx_table_elt_t>());
        let place: *mut ngx_table_elt_t = ngx_list_push(list).cast();
        if !place.is_null() {
            place.write(line);
        }
        place
    }
}

/// A line with its lower-case name and hash.
///
/// # Safety
/// `pool` is valid.
pub unsafe fn make(pool: *mut ngx_pool_t, key: &[u8], value: &[u8]) -> Option<ngx_table_elt_t> {
    // SAFETY: `pool` is valid; a zeroed line is valid.
    unsafe {
        let mut line: ngx_table_elt_t = std::mem::zeroed();
        line.key = pool::copy(pool, key)?;
        line.value = pool::copy(pool, value)?;
        let (hash, has_upper) = hash_of_lower(key);
        // As nginx does with HTTP/2's names.
        let mut lower = line.key;
        if has_upper {
            lower = pool::copy(pool, key)?;
            lower.as_bytes_mut().make_ascii_lowercase();
        }
        line.lowcase_key = lower.data;
        line.hash = hash;
        Some(line)
    }
}

/// [`hash`] of a name in lower case, and whether it has letters in upper case.
fn hash_of_lower(name: &[u8]) -> (usize, bool) {
    let (mut hash, mut has_upper) = (0usize, false);
    for &byte in name {
        let lower = byte.to_ascii_lowercase();
        has_upper |= lower != byte;
        hash = hash.wrapping_mul(31).wrapping_add(lower as usize);
    }
    (hash.max(1), has_upper)
}

/// nginx's hash of a lower-case name (macro `ngx_hash`); never 0, which switches a line off.
pub fn hash(lower: &[u8]) -> usize {
    let hash = lower.iter().fold(0usize, |hash, &byte| {
        hash.wrapping_mul(31).wrapping_add(byte as usize)
    });
    hash.max(1)
}

/// Room for `lines` in one part, as the start of a list with space to grow; `false` when memory
/// is out, and then nothing has changed.
///
/// # Safety
/// `list` and `pool` belong to one live request; pointers to the list's old lines are renewed by
/// the caller.
pub unsafe fn rebuild(
    list: *mut ngx_list_t,
    pool: *mut ngx_pool_t,
    lines: &[ngx_table_elt_t],
) -> bool {
    // Grows by a part of itself, so that adding one by one does not take the square of the memory.
    let room = lines.len() + lines.len() / 2 + 16;
    pool::count(room * size_of::<ngx_table_elt_t>());
    // SAFETY: the new part holds `room` lines, of which the first are written here.
    unsafe {
        let elements: *mut ngx_table_elt_t =
            ngx::ffi::ngx_palloc(pool, room * size_of::<ngx_table_elt_t>()).cast();
        if elements.is_null() {
            return false;
        }
        std::ptr::copy_nonoverlapping(lines.as_ptr(), elements, lines.len());
        (*list).part.elts = elements.cast();
        (*list).part.nelts = lines.len();
        (*list).part.next = std::ptr::null_mut();
        (*list).last = &raw mut (*list).part;
        (*list).size = size_of::<ngx_table_elt_t>();
        (*list).nalloc = room;
        (*list).pool = pool;
    }
    true
}
