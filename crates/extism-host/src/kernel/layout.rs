//! Where things lie in the kernel's memory. Numbers are of 64 bits, little-endian.

/// The module.
pub const MODULE: &str = include_str!("kernel.wat");

/// Bytes in use from [`BLOCKS`] on.
pub const USED: usize = 8;
/// At how many of these addresses 8 bytes in use begin.
pub const USED_WORDS: usize = 16;
/// The input of the call; both 0 where there is none.
pub const INPUT_OFFSET: usize = 24;
pub const INPUT_LENGTH: usize = 32;
/// What the guest has set last.
pub const OUTPUT_OFFSET: usize = 40;
pub const OUTPUT_LENGTH: usize = 48;
pub const ERROR_OFFSET: usize = 56;
/// The first block's header; all before it are the cells above.
pub const BLOCKS: usize = 64;

/// Reads a cell.
pub fn read(memory: &[u8], cell: usize) -> u64 {
    let bytes = memory.get(cell..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Writes a cell.
pub fn write(memory: &mut [u8], cell: usize, value: u64) {
    if let Some(bytes) = memory.get_mut(cell..).and_then(<[u8]>::first_chunk_mut) {
        *bytes = value.to_le_bytes();
    }
}
