//! What a guest has asked for beyond the least.

use std::ops::{BitOr, BitOrAssign};

/// Features, as a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(u32);

impl Features {
    /// The request's body is there for the guest and for the next handler.
    pub const BUFFER_REQUEST: Features = Features(1);
    /// The response waits until the guest has seen all of it, and can be changed until then.
    pub const BUFFER_RESPONSE: Features = Features(2);
    /// Trailers can be read and set.
    pub const TRAILERS: Features = Features(4);
    /// All that there are.
    pub const ALL: Features = Features(7);

    /// Those among a guest's bits; others are nothing.
    pub fn from_bits(bits: u32) -> Features {
        Features(bits & Features::ALL.0)
    }

    pub fn bits(self) -> u32 {
        self.0
    }

    pub fn has(self, all: Features) -> bool {
        self.0 & all.0 == all.0
    }

    pub fn without(self, others: Features) -> Features {
        Features(self.0 & !others.0)
    }
}

impl BitOr for Features {
    type Output = Features;

    fn bitor(self, other: Features) -> Features {
        Features(self.0 | other.0)
    }
}

impl BitOrAssign for Features {
    fn bitor_assign(&mut self, other: Features) {
        self.0 |= other.0;
    }
}
