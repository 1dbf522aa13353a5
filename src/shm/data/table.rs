//! The structure of the shared data's zone: a hash table and, through all of its entries, a list by
//! last use. Compare-and-swap numbers come from one counter of the zone.

use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::ptr::{self, NonNull};

use crate::shm::bytes;
use crate::shm::slab::Slab;
use crate::shm::zone::Root;

/// The zone's structure.
#[repr(C)]
pub struct Data {
    /// Makes the places of keys unknown outside.
    seed: u64,
    table: NonNull<*mut Entry>,
    /// Length of the table, a power of two, less one.
    mask: u64,
    newest: *mut Entry,
    oldest: *mut Entry,
    /// The largest entry that there is room for when all others are gone, in bytes.
    largest: usize,
    pub keys: u64,
    pub evictions: u64,
    last_cas: u32,
}

/// One key; behind it stand the space, the key and the value.
#[repr(C)]
struct Entry {
    next: *mut Entry,
    newer: *mut Entry,
    older: *mut Entry,
    hash: u64,
    cas: u32,
    space: u32,
    key: u32,
    value: u32,
}

// SAFETY: numbers, and pointers into the zone.
unsafe impl Root for Data {
    const LAYOUT: u32 = 1;

    fn create(slab: &mut Slab<'_>, before: Option<&Data>) -> Option<Data> {
        let len = (slab.size() / 512).next_power_of_two();
        let table = slab.alloc(len * size_of::<*mut Entry>())?.cast();
        // SAFETY: it is that large; all zeroes are null pointers.
        unsafe { table.write_bytes(0, len) };
        Some(Data {
            seed: RandomState::new().build_hasher().finish(),
            table,
            mask: len as u64 - 1,
            newest: ptr::null_mut(),
            oldest: ptr::null_mut(),
            largest: slab.free_bytes(),
            keys: 0,
            evictions: before.map_or(0, |before| before.evictions),
            last_cas: before.map_or(0, |before| before.last_cas),
        })
    }
}

impl Entry {
    /// Bytes of the allocation.
    fn size(space: usize, key: usize, value: usize) -> Option<usize> {
        size_of::<Entry>()
            .checked_add(space)?
            .checked_add(key)?
            .checked_add(value)
    }

    /// # Safety
    /// The entry is whole, and lives as long as the slices are used.
    unsafe fn parts<'a>(entry: *const Entry) -> (&'a [u8], &'a [u8], &'a [u8]) {
        // SAFETY: the entry is whole, and lives as long as the slices are used; and as `write` lays it out.
        unsafe {
            let (space, key) = ((*entry).space, (*entry).key);
            let at: *const u8 = entry.add(1).cast();
            (
                bytes(at, space),
                bytes(at.add(space as usize), key),
                bytes(at.add(space as usize + key as usize), (*entry).value),
            )
        }
    }

    /// # Safety
    /// `entry` has room for `size` of the three.
    unsafe fn write(entry: *mut Entry, hash: u64, space: &[u8], key: &[u8], value: &[u8]) {
        // SAFETY: `entry` has room for `size` of the three; the slices are outside of the zone.
        unsafe {
            entry.write(Entry {
                next: ptr::null_mut(),
                newer: ptr::null_mut(),
                older: ptr::null_mut(),
                hash,
                cas: 0,
                space: space.len() as u32,
                key: key.len() as u32,
                value: value.len() as u32,
            });
            let mut at: *mut u8 = entry.add(1).cast();
            for part in [space, key, value] {
                ptr::copy_nonoverlapping(part.as_ptr(), at, part.len());
                at = at.add(part.len());
            }
        }
    }
}

/// Why nothing was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The key is there with another compare-and-swap number.
    Mismatch,
    Full,
}

/// All entries that lead from the structure are whole: each change is made under the lock, and a
/// change that was not finished does away with the whole structure. That is why the pointers below
/// may be followed.
impl Data {
    /// Appends a value to `out`, and answers its compare-and-swap number; it is the one used last
    /// now.
    pub fn get(&mut self, space: &[u8], key: &[u8], out: &mut Vec<u8>) -> Option<u32> {
        let entry = self.find(self.hash(space, key), space, key)?;
        self.unlink(entry.as_ptr());
        self.link_newest(entry.as_ptr());
        // SAFETY: see above.
        unsafe {
            let (_, _, value) = Entry::parts(entry.as_ptr());
            out.extend_from_slice(value);
            Some(entry.as_ref().cas)
        }
    }

    /// Sets a value, if `cas` is 0 or the key's number, or there is no such key. `evict`: those
    /// used least recently make room.
    pub fn set(
        &mut self,
        slab: &mut Slab<'_>,
        space: &[u8],
        key: &[u8],
        value: &[u8],
        cas: u32,
        evict: bool,
    ) -> Result<(), Refused> {
        let size = Entry::size(space.len(), key.len(), value.len()).ok_or(Refused::Full)?;
        let hash = self.hash(space, key);
        if let Some(old) = self.find(hash, space, key) {
            // SAFETY: see above.
            let (actual, old_len) = unsafe { (old.as_ref().cas, old.as_ref().value) };
            if cas != 0 && cas != actual {
                return Err(Refused::Mismatch);
            }
            let old_size = size - value.len() + old_len as usize;
            if Slab::usable(old_size) == Slab::usable(size) {
                self.overwrite(old, space, key, value);
                return Ok(());
            }
        }
        // Asked before anything is evicted: nothing is, for what cannot be set.
        if size > self.largest || u32::try_from(size).is_err() {
            return Err(Refused::Full);
        }
        let entry = self.room(size, evict, slab).ok_or(Refused::Full)?;
        // The old one may have been evicted just now.
        if let Some(old) = self.find(hash, space, key) {
            self.remove(old, slab);
        }
        // SAFETY: `room` has allocated `size` bytes.
        unsafe { Entry::write(entry.as_ptr(), hash, space, key, value) };
        self.stamp(entry);
        self.insert(entry);
        Ok(())
    }

    /// Does away with a key. `false`: it was not there.
    pub fn delete(&mut self, slab: &mut Slab<'_>, space: &[u8], key: &[u8]) -> bool {
        match self.find(self.hash(space, key), space, key) {
            Some(entry) => {
                self.remove(entry, slab);
                true
            }
            None => false,
        }
    }

    /// The keys of a space, those used last first. It looks at all keys there are.
    pub fn keys(&self, space: &[u8]) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        let mut next = self.newest;
        // SAFETY: see above.
        while let Some(entry) = unsafe { next.as_ref() } {
            // SAFETY: see above.
            let (s, key, _) = unsafe { Entry::parts(entry) };
            if s == space {
                keys.push(key.to_vec());
            }
            next = entry.older;
        }
        keys
    }

    fn hash(&self, space: &[u8], key: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seed);
        hasher.write_usize(space.len());
        hasher.write(space);
        hasher.write(key);
        hasher.finish()
    }

    /// Where the chain of entries with this hash begins.
    fn chain(&self, hash: u64) -> *mut *mut Entry {
        // SAFETY: the mask keeps it in the table.
        unsafe { self.table.as_ptr().add((hash & self.mask) as usize) }
    }

    fn find(&self, hash: u64, space: &[u8], key: &[u8]) -> Option<NonNull<Entry>> {
        // SAFETY: see above.
        unsafe {
            let mut entry = *self.chain(hash);
            while !entry.is_null() {
                let (s, k, _) = Entry::parts(entry);
                if (*entry).hash == hash && s == space && k == key {
                    break;
                }
                entry = (*entry).next;
            }
            NonNull::new(entry)
        }
    }

    /// Takes an entry out of the list by last use.
    fn unlink(&mut self, entry: *mut Entry) {
        // SAFETY: see above.
        unsafe {
            let (newer, older) = ((*entry).newer, (*entry).older);
            match newer.as_mut() {
                Some(newer) => newer.older = older,
                None => self.newest = older,
            }
            match older.as_mut() {
                Some(older) => older.newer = newer,
                None => self.oldest = newer,
            }
        }
    }

    /// Puts an entry first in the list by last use.
    fn link_newest(&mut self, entry: *mut Entry) {
        // SAFETY: see above.
        unsafe {
            (*entry).newer = ptr::null_mut();
            (*entry).older = self.newest;
            match self.newest.as_mut() {
                Some(newest) => newest.newer = entry,
                None => self.oldest = entry,
            }
            self.newest = entry;
        }
    }

    fn remove(&mut self, entry: NonNull<Entry>, slab: &mut Slab<'_>) {
        let entry = entry.as_ptr();
        self.unlink(entry);
        // SAFETY: see above; nothing leads to the entry when it is freed.
        unsafe {
            let mut link = self.chain((*entry).hash);
            while *link != entry {
                link = &raw mut (**link).next;
            }
            *link = (*entry).next;
            slab.free(NonNull::new_unchecked(entry).cast());
        }
        self.keys -= 1;
    }

    fn insert(&mut self, entry: NonNull<Entry>) {
        let entry = entry.as_ptr();
        // SAFETY: see above.
        unsafe {
            let chain = self.chain((*entry).hash);
            (*entry).next = *chain;
            *chain = entry;
        }
        self.link_newest(entry);
        self.keys += 1;
    }

    /// A new compare-and-swap number.
    fn stamp(&mut self, entry: NonNull<Entry>) {
        self.last_cas = self.last_cas.wrapping_add(1).max(1);
        // SAFETY: see above.
        unsafe { (*entry.as_ptr()).cas = self.last_cas };
    }

    /// Sets the value of an entry whose allocation is large enough.
    fn overwrite(&mut self, entry: NonNull<Entry>, space: &[u8], key: &[u8], value: &[u8]) {
        self.unlink(entry.as_ptr());
        // SAFETY: the allocation has room; what the chain holds of the entry is put back.
        unsafe {
            let (next, hash) = (entry.as_ref().next, entry.as_ref().hash);
            Entry::write(entry.as_ptr(), hash, space, key, value);
            (*entry.as_ptr()).next = next;
        }
        self.link_newest(entry.as_ptr());
        self.stamp(entry);
    }

    /// Memory for an entry; `evict`: the entries used least recently make room.
    fn room(&mut self, size: usize, evict: bool, slab: &mut Slab<'_>) -> Option<NonNull<Entry>> {
        loop {
            if let Some(memory) = slab.alloc(size) {
                return Some(memory.cast());
            }
            let oldest = NonNull::new(self.oldest).filter(|_| evict)?;
            self.remove(oldest, slab);
            self.evictions += 1;
        }
    }
}
