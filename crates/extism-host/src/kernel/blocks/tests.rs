//! The book of blocks on a memory of its own.

use super::*;
use crate::kernel::layout::read;

struct Test {
    memory: Vec<u8>,
    blocks: Blocks,
}

impl Test {
    fn new() -> Test {
        Test {
            memory: vec![0; 64 << 10],
            blocks: Blocks::default(),
        }
    }

    fn allocate(&mut self, length: u64) -> u32 {
        loop {
            match self.blocks.allocate(&mut self.memory, length) {
                Ok(offset) => return offset.unwrap_or(0),
                Err(TooSmall(bytes)) => self.memory.resize(bytes as usize, 0),
            }
        }
    }

    fn free(&mut self, offset: u32) {
        self.blocks.free(&mut self.memory, offset.into());
    }

    fn length(&self, offset: u32) -> u32 {
        self.blocks.length(&self.memory, offset.into())
    }
}

#[test]
fn only_where_a_block_begins_there_is_one() {
    let mut test = Test::new();
    let (a, b) = (test.allocate(16), test.allocate(3));
    assert_eq!((test.length(a), test.length(b)), (16, 3));
    for offset in (0..b + 100).filter(|offset| ![a, b].contains(offset)) {
        assert_eq!(test.length(offset), 0, "{offset}");
        test.free(offset);
    }
    assert_eq!(test.blocks.length(&test.memory, u64::MAX), 0);
    assert_eq!((test.length(a), test.length(b)), (16, 3));
}

#[test]
fn a_number_that_the_guest_has_forged_is_not_believed() {
    let mut test = Test::new();
    let (a, b) = (test.allocate(64), test.allocate(64));
    // As if a block began within a, and as if b were a.
    write_number(&mut test.memory, a + 16, 0);
    write_number(&mut test.memory, b, 0);
    assert_eq!((test.length(a + 16), test.length(b)), (0, 0));
    test.free(a + 16);
    test.free(b);
    assert_eq!(test.length(a), 64);
    assert_ne!(test.allocate(64), b);
}

#[test]
fn freed_blocks_are_given_again() {
    let mut test = Test::new();
    let (a, b) = (test.allocate(1000), test.allocate(8));
    test.free(a);
    test.free(a);
    assert_eq!(test.length(a), 0);
    assert_eq!(test.allocate(500), a);
    let rest = test.allocate(400);
    assert!(rest > a && rest < b, "the rest of the block");
    test.free(b);
    assert_eq!(test.allocate(4000), b, "the last one gives its place back");
}

#[test]
fn blocks_do_not_overlap_whatever_is_freed() {
    let mut test = Test::new();
    let mut live: Vec<(u32, u32)> = Vec::new();
    let mut random = 1u64;
    for step in 0..20_000 {
        random = random
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let value = (random >> 33) as u32;
        if live.len() > 40 || value.is_multiple_of(3) && !live.is_empty() {
            let (offset, length) = live.swap_remove(value as usize % live.len());
            assert_eq!(test.length(offset), length, "step {step}");
            test.free(offset);
        } else {
            let length = 1 + value % (1 << (value % 13));
            live.push((test.allocate(length.into()), length));
        }
        let mut sorted = live.clone();
        sorted.sort_unstable();
        assert!(
            sorted
                .windows(2)
                .all(|two| two[0].0 + two[0].1 + HEADER <= two[1].0)
        );
        let used = read(&test.memory, USED) as u32 + BLOCKS as u32;
        assert!(
            sorted
                .last()
                .is_none_or(|(offset, length)| offset + length <= used)
        );
    }
    assert!(test.blocks.dirty() < 1 << 20);
}

#[test]
fn sizes_that_no_memory_has_are_none() {
    let mut test = Test::new();
    for length in [
        0,
        u64::MAX,
        1 << 40,
        5 << 30,
        u32::MAX.into(),
        (1 << 32) - 8,
    ] {
        assert_eq!(
            test.blocks.allocate(&mut test.memory, length),
            Ok(None),
            "{length}"
        );
    }
    assert!(
        test.blocks
            .allocate(&mut test.memory, (1 << 32) - 16)
            .is_err()
    );
}

#[test]
fn what_an_earlier_call_has_left_is_not_seen() {
    let mut test = Test::new();
    let a = test.allocate(100);
    test.memory[a as usize..][..100].fill(b'x');
    test.free(a);
    test.blocks.reset();
    let b = test.allocate(10);
    let c = test.allocate(200);
    assert_eq!(test.memory[b as usize..][..16], [0; 16]);
    assert_eq!(test.memory[c as usize..][..200], [0; 200]);
    test.memory[BLOCKS..].fill(b'x');
    test.blocks.reset();
    let d = test
        .blocks
        .allocate_for(&mut test.memory, 13)
        .unwrap()
        .unwrap();
    assert_eq!(
        test.memory[d as usize..][..13],
        [b'x'; 13],
        "for the host to write"
    );
    assert_eq!(test.memory[d as usize + 13..][..3], [0; 3]);
}
