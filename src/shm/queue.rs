//! Shared queues.

use super::slab::Slab;
use super::zone::Root;

/// The zone's structure.
#[repr(C)]
pub struct Queues {}

// SAFETY: plain data.
unsafe impl Root for Queues {
    const LAYOUT: u32 = 1;

    fn create(_slab: &mut Slab<'_>, _before: Option<&Self>) -> Option<Self> {
        Some(Queues {})
    }
}
