//! How many bytes the calls of a module's guests may hold in a worker.

use std::cell::Cell;
use std::rc::Rc;

use proxy_wasm_host::Pairs;

/// Most bytes of the calls of one module's instances in a worker: what is to be sent and to be told,
/// and [`CALL`] for each.
pub const MOST: usize = 256 << 20;

/// Bytes that a call takes besides what is in it, roughly: its task and its connection's buffers.
pub const CALL: usize = 8 << 10;

/// What the calls of a module hold. Clone = refcount.
#[derive(Clone, Default)]
pub struct Budget(Rc<Cell<usize>>);

/// A part of a budget, given back when this is dropped.
pub struct Share {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// A share of so many bytes; `None` when there is no room.
    pub fn take(&self, bytes: usize) -> Option<Share> {
        let mut share = self.share();
        share.grow(bytes).then_some(share)
    }

    /// A share of nothing yet.
    pub fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            bytes: 0,
        }
    }
}

impl Share {
    /// Takes so many bytes more; `false` when there is no room.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let held = self.budget.0.get().saturating_add(bytes);
        let fits = held <= MOST;
        if fits {
            self.budget.0.set(held);
            self.bytes += bytes;
        }
        fits
    }

    /// Gives so many bytes back.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.0.set(self.budget.0.get() - bytes);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// Bytes of names and values.
pub fn pairs_len(pairs: Pairs<'_>) -> usize {
    pairs
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum()
}
