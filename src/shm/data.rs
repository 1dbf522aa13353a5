//! Shared data: keys and values with compare-and-swap.

use super::slab::Slab;
use super::zone::Root;

/// The zone's structure.
#[repr(C)]
pub struct Data {}

// SAFETY: plain data.
unsafe impl Root for Data {
    const LAYOUT: u32 = 1;

    fn create(_slab: &mut Slab<'_>, _before: Option<&Self>) -> Option<Self> {
        Some(Data {})
    }
}
