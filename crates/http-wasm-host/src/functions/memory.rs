//! Values of the guest's, and values for it, where it has room for them.

use guest_host::OutOfBounds;
use guest_host::memory::{slice, slice_mut};

/// Bytes of the guest's; none are none, wherever they are.
#[inline]
pub fn read(memory: &[u8], ptr: u32, len: u32) -> Result<&[u8], OutOfBounds> {
    match len {
        0 => Ok(&[]),
        len => slice(memory, ptr, len),
    }
}

/// Writes bytes to where the guest has room for `limit`, if they fit, and answers their number in any case: the guest asks
/// again with more room.
#[inline]
pub fn give(memory: &mut [u8], ptr: u32, limit: u32, bytes: &[u8]) -> Result<u32, OutOfBounds> {
    // Nothing that a proxy has of a request has 4 GiB; it would not fit.
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    if len <= limit && len > 0 {
        slice_mut(memory, ptr, len)?.copy_from_slice(bytes);
    }
    Ok(len)
}

/// The same for a list of texts, each with a NUL behind it: their count in the upper half of the result, the bytes of them
/// all in the lower.
pub fn give_list(
    memory: &mut [u8],
    ptr: u32,
    limit: u32,
    count: usize,
    list: &[u8],
) -> Result<u64, OutOfBounds> {
    let len = give(memory, ptr, limit, list)?;
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    Ok(u64::from(count) << 32 | u64::from(len))
}
