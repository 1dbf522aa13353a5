//! Draws for the share of requests that are answered.

use std::hash::{BuildHasher, Hasher, RandomState};

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014), seeded once from the host's entropy: a request should
/// not cost a host call for it.
pub struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        // The standard library seeds its hash maps with WASI's random_get.
        Random(RandomState::new().build_hasher().finish())
    }
}

impl Random {
    /// A number from 0 up to, but not including, 100.
    pub fn percent(&mut self) -> f64 {
        // The 53 bits that an f64 holds exactly.
        (self.next() >> 11) as f64 * (100.0 / (1u64 << 53) as f64)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
