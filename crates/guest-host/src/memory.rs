//! Checked access to a guest's memory. Addresses and lengths are the guest's, and may be any number.

use thiserror::Error;
use wasm_runtime::wasmtime::{Caller, Extern, Memory};

/// An address or a length lies outside of the guest's memory, or it exports none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("outside of the guest's memory")]
pub struct OutOfBounds;

/// The data of a store with one instance of a guest.
pub trait GuestData: 'static {
    /// The instance's exported memory; `None` until it is looked up, which [`parts`] does.
    fn memory(&mut self) -> &mut Option<Memory>;
}

/// [ptr, ptr + len) of the guest's memory.
#[inline]
pub fn slice(memory: &[u8], ptr: u32, len: u32) -> Result<&[u8], OutOfBounds> {
    let start = ptr as usize;
    start
        .checked_add(len as usize)
        .and_then(|end| memory.get(start..end))
        .ok_or(OutOfBounds)
}

/// [ptr, ptr + len) of the guest's memory, to write to.
#[inline]
pub fn slice_mut(memory: &mut [u8], ptr: u32, len: u32) -> Result<&mut [u8], OutOfBounds> {
    let start = ptr as usize;
    start
        .checked_add(len as usize)
        .and_then(|end| memory.get_mut(start..end))
        .ok_or(OutOfBounds)
}

/// Four bytes, little-endian.
#[inline]
pub fn read_u32(memory: &[u8], ptr: u32) -> Result<u32, OutOfBounds> {
    memory
        .get(ptr as usize..)
        .and_then(<[u8]>::first_chunk)
        .map(|bytes| u32::from_le_bytes(*bytes))
        .ok_or(OutOfBounds)
}

/// So many bytes.
#[inline]
pub fn write<const N: usize>(
    memory: &mut [u8],
    ptr: u32,
    bytes: [u8; N],
) -> Result<(), OutOfBounds> {
    *memory
        .get_mut(ptr as usize..)
        .and_then(<[u8]>::first_chunk_mut)
        .ok_or(OutOfBounds)? = bytes;
    Ok(())
}

/// Four bytes, little-endian.
#[inline]
pub fn write_u32(memory: &mut [u8], ptr: u32, value: u32) -> Result<(), OutOfBounds> {
    write(memory, ptr, value.to_le_bytes())
}

/// Eight bytes, little-endian.
#[inline]
pub fn write_u64(memory: &mut [u8], ptr: u32, value: u64) -> Result<(), OutOfBounds> {
    write(memory, ptr, value.to_le_bytes())
}

/// The guest's memory and the store's data, borrowed at once.
#[inline]
pub fn parts<'a, T: GuestData>(
    caller: &'a mut Caller<'_, T>,
) -> Result<(&'a mut [u8], &'a mut T), OutOfBounds> {
    let memory = match *caller.data_mut().memory() {
        Some(memory) => memory,
        // The first call of all, which may come out of the start section.
        None => {
            let memory = caller
                .get_export("memory")
                .and_then(Extern::into_memory)
                .ok_or(OutOfBounds)?;
            *caller.data_mut().memory() = Some(memory);
            memory
        }
    };
    Ok(memory.data_and_store_mut(caller))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked_without_overflow() {
        let mut memory = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(slice(&memory, 0, 8), Ok(&[1, 2, 3, 4, 5, 6, 7, 8][..]));
        assert_eq!(slice(&memory, 8, 0), Ok(&[][..]));
        for (ptr, len) in [(0, 9), (8, 1), (9, 0), (u32::MAX, 1), (1, u32::MAX)] {
            assert_eq!(slice(&memory, ptr, len), Err(OutOfBounds));
            assert!(slice_mut(&mut memory, ptr, len).is_err());
        }
        assert_eq!(read_u32(&memory, 4), Ok(0x0807_0605));
        assert!(read_u32(&memory, 5).is_err());
        assert!(read_u32(&memory, u32::MAX).is_err());
        assert!(write_u32(&mut memory, 5, 0).is_err());
        assert!(write_u64(&mut memory, 1, 0).is_err());
        assert_eq!(write_u64(&mut memory, 0, 9), Ok(()));
        assert_eq!(memory, [9, 0, 0, 0, 0, 0, 0, 0]);
    }
}
