//! The metrics of guests and of the host, in memory that all workers share.
//!
//! The memory is one run of atomic words, so that everything here is safe code. From its start: a
//! header, the pids of workers, the buckets of a hash table, then blocks, one for each metric. A
//! directory of the blocks grows from the end towards them; the number of a metric is its place there.
//!
//! Metrics are added under a lock and never removed. A word that makes something visible is written
//! last, so a worker killed at any time leaves nothing half done but a block that nobody sees.

use std::sync::atomic::{AtomicU64, Ordering};

use Ordering::{Acquire, Relaxed, Release};

/// Longest name of a metric, in bytes. Istio's names, which carry some 25 tags, have about 1500.
pub const MAX_NAME: usize = 4096;

/// Number of a metric, the same in all workers; never 0.
pub type MetricId = u32;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// No metric: the name of a space, whose metrics refer to it.
    Space = 1,
    Counter,
    Gauge,
    Histogram,
}

/// Whose metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A guest's.
    Guest,
    /// The host's own.
    Host,
    /// One worker's part of a metric of the host's: the worker of this slot.
    Worker(u8),
}

/// What identifies a metric, beside its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub kind: Kind,
    pub owner: Owner,
    /// The number of a [`Kind::Space`]; 0 for metrics of no module.
    pub space: MetricId,
}

/// Why a metric was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is empty or too long.
    Name,
    NoRoom,
}

/// Upper bounds of a histogram's buckets; what is over the last goes into one more.
pub const BOUNDS: usize = 19;
/// Words of a histogram: its buckets, then the sum.
const HISTOGRAM: usize = BOUNDS + 2;

/// Workers that can have metrics of their own at one time.
pub const SLOTS: usize = 128;

// The header's words.
/// Words in use from the start.
const USED: usize = 0;
/// Metrics in the directory.
const COUNT: usize = 1;
/// Metrics in the hash table: all, or all but the newest.
const LINKED: usize = 2;
const BUCKETS: usize = 3;
pub const PIDS: usize = 4;
pub const TABLE: usize = PIDS + SLOTS;

// A block's words: the next one of its bucket and the hash of its key, the key, values, name.
const NEXT: usize = 0;
const META: usize = 1;
const VALUES: usize = 2;

/// The part of the memory that guests leave to the host: one in so many words.
const RESERVE: usize = 8;

/// A view of the memory; as cheap as a slice.
#[derive(Clone, Copy)]
pub struct Metrics<'a> {
    pub words: &'a [AtomicU64],
}

impl<'a> Metrics<'a> {
    /// Lays out memory, whatever is in it; `None` when it is too small. Only what is needed is written to, so the rest
    /// takes no memory before it is used.
    pub fn create(words: &'a [AtomicU64]) -> Option<Metrics<'a>> {
        // One bucket for each 32 words, somewhat more than there will be metrics.
        let buckets = (words.len() / 32).next_power_of_two().min(1 << 20);
        let start = TABLE + buckets;
        if start * 2 > words.len() {
            return None;
        }
        for word in words.get(..start)? {
            word.store(0, Relaxed);
        }
        words.get(BUCKETS)?.store(buckets as u64, Relaxed);
        words.get(USED)?.store(start as u64, Release);
        Some(Metrics { words })
    }

    /// Memory that [`create`](Metrics::create) has laid out.
    pub fn open(words: &'a [AtomicU64]) -> Metrics<'a> {
        Metrics { words }
    }

    fn word(&self, index: usize) -> Option<&'a AtomicU64> {
        self.words.get(index)
    }

    fn load_word(&self, index: usize) -> u64 {
        self.word(index).map_or(0, |word| word.load(Acquire))
    }

    pub fn load(&self, index: usize) -> usize {
        self.load_word(index) as usize
    }

    fn store(&self, index: usize, value: u64) {
        if let Some(word) = self.word(index) {
            word.store(value, Release);
        }
    }

    /// Bytes that nothing is in.
    pub fn free_bytes(&self) -> usize {
        let used = self.load(USED) + self.load(COUNT);
        self.words.len().saturating_sub(used) * size_of::<AtomicU64>()
    }

    /// Number of metrics and spaces: their numbers are 1 to this one.
    pub fn count(&self) -> MetricId {
        self.load(COUNT) as MetricId
    }

    /// The start of a metric's block. What comes from a guest is any number.
    fn block(&self, id: MetricId) -> Option<usize> {
        let id = id as usize;
        if id == 0 || id > self.load(COUNT) {
            return None;
        }
        Some(self.load(self.words.len().checked_sub(id)?))
    }

    /// What identifies a metric beside its name, and the length of that.
    fn meta(&self, block: usize) -> Option<(Key, usize)> {
        let word = self.load_word(block + META);
        let kind = match word as u8 {
            1 => Kind::Space,
            2 => Kind::Counter,
            3 => Kind::Gauge,
            4 => Kind::Histogram,
            _ => return None,
        };
        let owner = match (word >> 8) as u8 {
            0 => Owner::Guest,
            1 => Owner::Host,
            slot => Owner::Worker(slot - 2),
        };
        let space = (word >> 32) as MetricId;
        Some((Key { kind, owner, space }, (word >> 16) as u16 as usize))
    }

    /// The key and the name of a metric.
    pub fn describe(&self, id: MetricId) -> Option<(Key, Vec<u8>)> {
        let block = self.block(id)?;
        let (key, length) = self.meta(block)?;
        let start = block + VALUES + values(key.kind);
        let mut name = Vec::with_capacity(length + 8);
        for word in self.words.get(start..start + length.div_ceil(8))? {
            name.extend(word.load(Relaxed).to_ne_bytes());
        }
        name.truncate(length);
        Some((key, name))
    }

    /// The values of a metric, with its key.
    pub fn values(&self, id: MetricId) -> Option<(Key, &'a [AtomicU64])> {
        let block = self.block(id)?;
        let (key, _) = self.meta(block)?;
        let start = block + VALUES;
        Some((key, self.words.get(start..start + values(key.kind))?))
    }

    /// The number of the metric with this key and name, which is added when there is none. It has
    /// the value 0 then. To be called under the memory's lock.
    pub fn define(&self, key: Key, name: &[u8]) -> Result<MetricId, Refused> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(Refused::Name);
        }
        self.repair();
        let hash = hash(key, name);
        let bucket = self.bucket(hash).ok_or(Refused::NoRoom)?;
        let mut next = self.load(bucket) as MetricId;
        while let Some(block) = self.block(next) {
            let link = self.load_word(block + NEXT);
            if (link >> 32) as u32 == hash
                && let Some((known, length)) = self.meta(block)
                && known.owner == key.owner
                && known.space == key.space
                && known.kind == key.kind
                && length == name.len()
                && self.is_named(block + VALUES + values(known.kind), name)
            {
                return Ok(next);
            }
            next = link as MetricId;
        }
        self.add(key, name, hash).ok_or(Refused::NoRoom)
    }

    fn is_named(&self, start: usize, name: &[u8]) -> bool {
        let words = self.words.get(start..start + name.len().div_ceil(8));
        let mut pairs = words.unwrap_or_default().iter().zip(name.chunks(8));
        words.is_some() && pairs.all(|(word, chunk)| word.load(Relaxed) == pack(chunk))
    }

    fn add(&self, key: Key, name: &[u8], hash: u32) -> Option<MetricId> {
        let block = self.load(USED);
        let count = self.load(COUNT);
        let end = block + VALUES + values(key.kind) + name.len().div_ceil(8);
        let reserve = match key.owner {
            Owner::Guest if key.kind != Kind::Space => self.words.len() / RESERVE,
            _ => 0,
        };
        let place = self.words.len().checked_sub(count + 1)?;
        if end + reserve > place {
            return None;
        }
        let owner = match key.owner {
            Owner::Guest => 0,
            Owner::Host => 1,
            Owner::Worker(slot) => slot as u64 + 2,
        };
        let meta =
            key.kind as u64 | owner << 8 | (name.len() as u64) << 16 | (key.space as u64) << 32;
        self.store(block + NEXT, u64::from(hash) << 32);
        self.store(block + META, meta);
        for value in self
            .words
            .get(block + VALUES..)?
            .iter()
            .take(values(key.kind))
        {
            value.store(0, Relaxed);
        }
        let start = block + VALUES + values(key.kind);
        for (word, chunk) in self.words.get(start..end)?.iter().zip(name.chunks(8)) {
            word.store(pack(chunk), Relaxed);
        }
        let id = (count + 1) as MetricId;
        self.store(place, block as u64);
        self.store(USED, end as u64);
        self.store(COUNT, id.into());
        self.link(id);
        Some(id)
    }

    /// Puts the newest metric, a visible one, into the hash table.
    fn link(&self, id: MetricId) {
        if let Some(block) = self.block(id)
            && let hash = (self.load_word(block + NEXT) >> 32) as u32
            && let Some(bucket) = self.bucket(hash)
        {
            let first = self.load_word(bucket);
            if first != u64::from(id) {
                self.store(block + NEXT, u64::from(hash) << 32 | first);
                self.store(bucket, id.into());
            }
        }
        self.store(LINKED, id.into());
    }

    /// Finishes what a worker killed in [`add`](Metrics::add) has left.
    fn repair(&self) {
        if self.load(LINKED) != self.load(COUNT) {
            self.link(self.count());
        }
    }

    fn bucket(&self, hash: u32) -> Option<usize> {
        let buckets = self.load(BUCKETS);
        Some(TABLE + (hash as usize & buckets.checked_sub(1)?))
    }
}

/// Words of a metric's values.
fn values(kind: Kind) -> usize {
    match kind {
        Kind::Space => 0,
        Kind::Counter | Kind::Gauge => 1,
        Kind::Histogram => HISTOGRAM,
    }
}

fn pack(chunk: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..chunk.len()].copy_from_slice(chunk);
    u64::from_ne_bytes(bytes)
}

/// FNV-1a. The kind has no part in it: few names have several.
fn hash(key: Key, name: &[u8]) -> u32 {
    let owner = match key.owner {
        Owner::Guest => 0,
        Owner::Host => 1,
        Owner::Worker(slot) => slot.wrapping_add(2),
    };
    let head = key.space.to_ne_bytes().into_iter().chain([owner]);
    head.chain(name.iter().copied())
        .fold(0x811c_9dc5, |hash: u32, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        })
}
