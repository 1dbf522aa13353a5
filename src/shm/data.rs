//! Shared data: values by space and key, each with a number for compare-and-swap.
//!
//! A hash table and, through all of its entries, a list by last use. The numbers come from one
//! counter of the zone, so that a key that was evicted and set anew never gets one of its earlier
//! numbers. A key that is not there can be set with any number, as in Envoy
//! (proxy-wasm-cpp-host, `shared_data.cc`).

use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::ptr::{self, NonNull};

use proxy_wasm_host::Status;

use super::slab::Slab;
use super::zone::{Root, Usage, Zone};
use super::{Complaint, bytes};
use crate::nginx::log::Log;

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
    keys: u64,
    evictions: u64,
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
        // SAFETY: by the contract, and as `write` lays it out.
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
        // SAFETY: by the contract; the slices are outside of the zone.
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

/// All entries that lead from the structure are whole: each change is made under the lock, and a
/// change that was not finished does away with the whole structure. That is why the pointers below
/// may be followed.
impl Data {
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
    fn out_of_order(&mut self, entry: *mut Entry) {
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
    fn into_order(&mut self, entry: *mut Entry) {
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
        self.out_of_order(entry);
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
        self.into_order(entry);
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
        self.out_of_order(entry.as_ptr());
        // SAFETY: the allocation has room; what the chain holds of the entry is put back.
        unsafe {
            let (next, hash) = (entry.as_ref().next, entry.as_ref().hash);
            Entry::write(entry.as_ptr(), hash, space, key, value);
            (*entry.as_ptr()).next = next;
        }
        self.into_order(entry.as_ptr());
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

/// The shared data as a process sees it.
pub struct SharedData {
    zone: Zone<Data>,
    evict: bool,
    complaint: Complaint,
}

/// What there is of shared data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataUsage {
    pub zone: Usage,
    pub keys: u64,
    /// Keys that had to go for others, since the zone was made.
    pub evictions: u64,
}

impl SharedData {
    /// `evict`: a full zone gives up the keys used least recently, of any space.
    pub fn new(zone: Zone<Data>, evict: bool) -> SharedData {
        SharedData {
            zone,
            evict,
            complaint: Complaint::default(),
        }
    }

    /// Appends the value to `out`, and answers its compare-and-swap number, which is never 0.
    /// `Err(NotFound)`: there is none.
    pub fn get(&self, space: &[u8], key: &[u8], out: &mut Vec<u8>) -> Result<u32, Status> {
        let mut guard = self.zone.lock().ok_or(Status::InternalFailure)?;
        let hash = guard.hash(space, key);
        let entry = guard.find(hash, space, key).ok_or(Status::NotFound)?;
        guard.out_of_order(entry.as_ptr());
        guard.into_order(entry.as_ptr());
        // SAFETY: the entry is whole, and stays while the lock is held.
        unsafe {
            let (_, _, value) = Entry::parts(entry.as_ptr());
            out.extend_from_slice(value);
            Ok(entry.as_ref().cas)
        }
    }

    /// Sets a value. `Err(CasMismatch)`: the key is there with another number than `cas`, which is
    /// not 0. `Err(InternalFailure)`: the zone is full, or smaller than the value; that is said in
    /// `log`, not too often.
    pub fn set(
        &self,
        space: &[u8],
        key: &[u8],
        value: &[u8],
        cas: u32,
        log: Log,
    ) -> Result<(), Status> {
        match self.try_set(space, key, value, cas) {
            Err(Status::InternalFailure) => {
                self.complaint.write(
                    log,
                    format_args!(
                        "no room for {} bytes in the shared data zone \"{}\"",
                        value.len(),
                        self.zone.name()
                    ),
                );
                Err(Status::InternalFailure)
            }
            result => result,
        }
    }

    fn try_set(&self, space: &[u8], key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        let full = Status::InternalFailure;
        let size = Entry::size(space.len(), key.len(), value.len()).ok_or(full)?;
        let mut guard = self.zone.lock().ok_or(full)?;
        let (data, slab) = guard.parts();
        let hash = data.hash(space, key);
        let old = data.find(hash, space, key);
        if let Some(old) = old {
            // SAFETY: the entry is whole.
            let (actual, old_size) = unsafe {
                let (_, _, value) = Entry::parts(old.as_ptr());
                let old_size = Entry::size(space.len(), key.len(), value.len());
                (old.as_ref().cas, old_size.ok_or(full)?)
            };
            if cas != 0 && cas != actual {
                return Err(Status::CasMismatch);
            }
            if Slab::usable(old_size) == Slab::usable(size) {
                data.overwrite(old, space, key, value);
                return Ok(());
            }
        }
        // Asked before anything is evicted: nothing is, for what cannot be set.
        if size > data.largest || u32::try_from(size).is_err() {
            return Err(full);
        }
        let entry = data.room(size, self.evict, slab).ok_or(full)?;
        // The old one may have been evicted just now.
        if let Some(old) = data.find(hash, space, key) {
            data.remove(old, slab);
        }
        // SAFETY: `room` has allocated `size` bytes.
        unsafe { Entry::write(entry.as_ptr(), hash, space, key, value) };
        data.stamp(entry);
        data.insert(entry);
        Ok(())
    }

    pub fn usage(&self) -> DataUsage {
        let zone = self.zone.usage();
        let guard = self.zone.lock();
        guard.map_or_else(DataUsage::default, |data| DataUsage {
            zone,
            keys: data.keys,
            evictions: data.evictions,
        })
    }
}
