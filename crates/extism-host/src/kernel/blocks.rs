//! The book of the blocks in the kernel's memory.
//!
//! All that is known of a block is here, out of the guest's reach. In front of each lies its number, so that it is found by its
//! offset: the guest can write over that, but a number is only believed where the block of that number does lie there.

use super::layout::{BLOCKS, USED, USED_WORDS, write};

/// Bytes in front of a block, for its number.
const HEADER: u32 = 8;
/// Blocks begin at multiples of this.
const ALIGNMENT: u32 = 8;
/// Least rest of a free block that is worth being a block.
const MIN_REST: u32 = 64;
/// Most free blocks of about the right size that are looked at.
const MAX_LOOKS: usize = 8;
/// Entries of the book that are kept from call to call.
const KEPT: usize = 1024;
/// Largest block: as large as a memory, which has no room for it.
const MAX_SIZE: u64 = u32::MAX as u64;

/// The blocks since the last reset.
#[derive(Debug)]
pub struct Blocks {
    /// By their numbers.
    book: Vec<Block>,
    /// Numbers that can be given again.
    unused: Vec<u32>,
    /// Free blocks, by the power of two below their capacity.
    free: [Vec<u32>; 32],
    /// Which of these are not empty.
    occupied: u32,
    /// Address behind the last block.
    top: u32,
    /// The highest that this was since the last reset.
    peak: u32,
    /// Bytes up to here may be those of earlier calls.
    dirty: u32,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    offset: u32,
    /// Bytes that it has room for.
    capacity: u32,
    /// Bytes that were asked for; 0: it is free.
    length: u32,
}

/// The memory has to have so many bytes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall(pub u64);

impl Default for Blocks {
    fn default() -> Blocks {
        Blocks {
            book: Vec::new(),
            unused: Vec::new(),
            free: Default::default(),
            occupied: 0,
            top: BLOCKS as u32,
            peak: BLOCKS as u32,
            dirty: BLOCKS as u32,
        }
    }
}

fn class(capacity: u32) -> usize {
    capacity.max(1).ilog2() as usize
}

impl Blocks {
    /// Forgets all blocks. The cells of the memory are for the caller to write.
    pub fn reset(&mut self) {
        self.dirty = self.dirty.max(self.peak);
        self.top = BLOCKS as u32;
        self.peak = self.top;
        self.book.clear();
        self.unused.clear();
        while self.occupied != 0 {
            let class = self.occupied.trailing_zeros() as usize;
            self.free[class].clear();
            self.occupied &= self.occupied - 1;
        }
        if self.book.capacity() > KEPT {
            *self = Blocks {
                dirty: self.dirty,
                ..Blocks::default()
            };
        }
    }

    /// Address up to which the memory may hold what calls have left.
    pub fn dirty(&self) -> usize {
        self.dirty.max(self.peak) as usize
    }

    /// Address up to which there were blocks since the last reset.
    pub fn peak(&self) -> usize {
        self.peak as usize
    }

    /// All from there on is zero by now, and there are no blocks there.
    pub fn cleared_from(&mut self, address: usize) {
        let address = u32::try_from(address).unwrap_or(u32::MAX);
        self.dirty = self.dirty.min(address);
        self.peak = self.peak.min(address).max(self.top);
    }

    /// A new block of `length` bytes, which are zero, or what this call has left there. `None`: there is none of 0 bytes, nor
    /// one that no memory has room for.
    pub fn allocate(&mut self, memory: &mut [u8], length: u64) -> Result<Option<u32>, TooSmall> {
        self.place(memory, length, true)
    }

    /// The same for who writes all of its bytes.
    pub fn allocate_for(
        &mut self,
        memory: &mut [u8],
        length: u64,
    ) -> Result<Option<u32>, TooSmall> {
        self.place(memory, length, false)
    }

    fn place(
        &mut self,
        memory: &mut [u8],
        length: u64,
        clear: bool,
    ) -> Result<Option<u32>, TooSmall> {
        if length == 0 || length > MAX_SIZE - u64::from(ALIGNMENT) {
            return Ok(None);
        }
        let length = length as u32;
        let capacity = length.next_multiple_of(ALIGNMENT);
        if let Some(number) = self.take_free(capacity) {
            self.split(memory, number, capacity);
            let block = &mut self.book[number as usize];
            block.length = length;
            // The guest may have written over it, or lowered the top.
            let offset = block.offset;
            write_number(memory, offset, number);
            return Ok(Some(offset));
        }
        let offset = u64::from(self.top) + u64::from(HEADER);
        let end = offset + u64::from(capacity);
        if end > memory.len() as u64 {
            return Err(TooSmall(end));
        }
        // A memory is no larger than what 32 bits can address.
        let (offset, end) = (offset as u32, u32::try_from(end).unwrap_or(u32::MAX));
        let dirty = self.dirty.min(end);
        let from = if clear { offset } else { offset + length };
        if from < dirty {
            memory[from as usize..dirty as usize].fill(0);
        }
        let number = self.number(Block {
            offset,
            capacity,
            length,
        });
        write_number(memory, offset, number);
        self.set_top(memory, end);
        Ok(Some(offset))
    }

    /// The length of a block; 0 where none begins.
    pub fn length(&self, memory: &[u8], offset: u64) -> u32 {
        self.find(memory, offset)
            .map_or(0, |number| self.book[number as usize].length)
    }

    /// Takes a block back; nothing happens where none begins.
    pub fn free(&mut self, memory: &mut [u8], offset: u64) {
        let Some(number) = self.find(memory, offset) else {
            return;
        };
        let block = &mut self.book[number as usize];
        block.length = 0;
        let block = *block;
        if block.offset + block.capacity == self.top {
            self.unused.push(number);
            self.set_top(memory, block.offset - HEADER);
        } else {
            self.keep_free(number);
        }
    }

    /// The number of the block in use that begins there.
    fn find(&self, memory: &[u8], offset: u64) -> Option<u32> {
        let offset = u32::try_from(offset).ok().filter(|&at| at < self.top)?;
        let header = memory.get(offset.checked_sub(HEADER)? as usize..)?;
        let number = u32::from_le_bytes(*header.first_chunk()?);
        let block = self.book.get(number as usize)?;
        (block.offset == offset && block.length > 0).then_some(number)
    }

    fn set_top(&mut self, memory: &mut [u8], top: u32) {
        self.top = top;
        self.peak = self.peak.max(top);
        let used = u64::from(top) - BLOCKS as u64;
        write(memory, USED, used);
        write(memory, USED_WORDS, used.saturating_sub(7));
    }

    fn number(&mut self, block: Block) -> u32 {
        match self.unused.pop() {
            Some(number) => {
                self.book[number as usize] = block;
                number
            }
            None => {
                self.book.push(block);
                self.book.len() as u32 - 1
            }
        }
    }

    fn keep_free(&mut self, number: u32) {
        let class = class(self.book[number as usize].capacity);
        self.free[class].push(number);
        self.occupied |= 1 << class;
    }

    /// Takes a free block with room for so many bytes, if one is found soon.
    fn take_free(&mut self, capacity: u32) -> Option<u32> {
        if self.occupied == 0 {
            return None;
        }
        let class = class(capacity);
        let free = &self.free[class];
        let fits = |number: &u32| self.book[*number as usize].capacity >= capacity;
        let found = free.iter().rev().take(MAX_LOOKS).position(fits);
        if let Some(found) = found {
            let at = free.len() - 1 - found;
            return self.take_from(class, at);
        }
        // Any block of a larger class has room enough.
        let larger = self.occupied & !(u32::MAX >> (31 - class));
        if larger == 0 {
            return None;
        }
        let class = larger.trailing_zeros() as usize;
        let at = self.free[class].len().checked_sub(1)?;
        self.take_from(class, at)
    }

    fn take_from(&mut self, class: usize, at: usize) -> Option<u32> {
        let number = self.free[class].swap_remove(at);
        if self.free[class].is_empty() {
            self.occupied &= !(1 << class);
        }
        Some(number)
    }

    /// Makes what a block has beyond a capacity a free block of its own, if it is worth that.
    fn split(&mut self, memory: &mut [u8], number: u32, capacity: u32) {
        let block = &mut self.book[number as usize];
        let rest = block.capacity - capacity;
        if rest < MIN_REST {
            return;
        }
        block.capacity = capacity;
        let offset = block.offset + capacity + HEADER;
        let number = self.number(Block {
            offset,
            capacity: rest - HEADER,
            length: 0,
        });
        write_number(memory, offset, number);
        self.keep_free(number);
    }
}

fn write_number(memory: &mut [u8], offset: u32, number: u32) {
    write(memory, (offset - HEADER) as usize, number.into());
}

#[cfg(test)]
mod tests;
