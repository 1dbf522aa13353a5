//! The structure of the queues' zone: queues by number and by space and name, their messages, and
//! who is to be told of new ones.

use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::ptr::{self, NonNull};

use crate::shm::bytes;
use crate::shm::queue::listeners::{Listeners, Who};
use crate::shm::slab::{Slab, page_size};
use crate::shm::zone::Root;

/// Chains of queues; there are rarely more than a few.
const CHAINS: usize = 64;

/// The zone's structure.
#[repr(C)]
pub struct Queues {
    /// How often the structure was made anew.
    pub epoch: u32,
    seed: u64,
    pub queues: u64,
    pub messages: u64,
    by_id: [*mut Queue; CHAINS],
    by_name: [*mut Queue; CHAINS],
}

/// One queue; behind it stand its space and name.
#[repr(C)]
struct Queue {
    next_by_id: *mut Queue,
    next_by_name: *mut Queue,
    first: *mut Message,
    last: *mut Message,
    messages: u64,
    listeners: Listeners,
    id: u32,
    space: u32,
    name: u32,
}

/// One message; behind it stand its bytes.
#[repr(C)]
struct Message {
    next: *mut Message,
    len: u32,
}

// SAFETY: numbers, and pointers into the zone.
unsafe impl Root for Queues {
    const LAYOUT: u32 = 2;

    fn create(_slab: &mut Slab<'_>, before: Option<&Queues>) -> Option<Queues> {
        Some(Queues {
            epoch: before.map_or(0, |before| before.epoch.wrapping_add(1)),
            seed: RandomState::new().build_hasher().finish(),
            queues: 0,
            messages: 0,
            by_id: [ptr::null_mut(); CHAINS],
            by_name: [ptr::null_mut(); CHAINS],
        })
    }
}

fn hash(seed: u64, space: &[u8], name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(seed);
    hasher.write_usize(space.len());
    hasher.write(space);
    hasher.write(name);
    hasher.finish()
}

/// Why nothing was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    NoSuchQueue,
    Full,
}

/// All that leads from the structure is whole: each change is made under the lock, and a change
/// that was not finished does away with the whole structure. That is why the pointers below may be
/// followed.
impl Queues {
    fn chain(&self, space: &[u8], name: &[u8]) -> usize {
        hash(self.seed, space, name) as usize % CHAINS
    }

    /// The queue of this number.
    fn queue(&self, id: u32) -> Option<NonNull<Queue>> {
        // SAFETY: see above.
        unsafe {
            let mut queue = self.by_id[id as usize % CHAINS];
            while !queue.is_null() && (*queue).id != id {
                queue = (*queue).next_by_id;
            }
            NonNull::new(queue)
        }
    }

    /// The number of a queue.
    pub fn find(&self, space: &[u8], name: &[u8]) -> Option<u32> {
        // SAFETY: see above; the queue's two names stand behind it.
        unsafe {
            let mut queue = self.by_name[self.chain(space, name)];
            while let Some(found) = queue.as_ref() {
                let at: *const u8 = queue.add(1).cast();
                if bytes(at, found.space) == space
                    && bytes(at.add(found.space as usize), found.name) == name
                {
                    return Some(found.id);
                }
                queue = found.next_by_name;
            }
            None
        }
    }

    /// The number of a queue, which is made if there is none. `None`: no room.
    pub fn open(&mut self, slab: &mut Slab<'_>, space: &[u8], name: &[u8]) -> Option<u32> {
        if let Some(id) = self.find(space, name) {
            return Some(id);
        }
        let (space_len, name_len) = (space.len().try_into().ok()?, name.len().try_into().ok()?);
        let size = size_of::<Queue>()
            .checked_add(space.len())?
            .checked_add(name.len())?;
        let queue: *mut Queue = slab.alloc(size)?.cast().as_ptr();
        let id = self.new_id(space, name);
        let chain = self.chain(space, name);
        // SAFETY: see above; the allocation has room for the queue and its names.
        unsafe {
            queue.write(Queue {
                next_by_id: self.by_id[id as usize % CHAINS],
                next_by_name: self.by_name[chain],
                first: ptr::null_mut(),
                last: ptr::null_mut(),
                messages: 0,
                listeners: Listeners::default(),
                id,
                space: space_len,
                name: name_len,
            });
            let at: *mut u8 = queue.add(1).cast();
            ptr::copy_nonoverlapping(space.as_ptr(), at, space.len());
            ptr::copy_nonoverlapping(name.as_ptr(), at.add(space.len()), name.len());
        }
        self.by_id[id as usize % CHAINS] = queue;
        self.by_name[chain] = queue;
        self.queues += 1;
        Some(id)
    }

    /// The number for a new queue, 1 to 2^31 - 1. It is made of the names, so that in a structure
    /// that was made anew a queue has the number that guests know, whoever opens it first.
    fn new_id(&self, space: &[u8], name: &[u8]) -> u32 {
        let mut id = hash(0, space, name) as u32;
        loop {
            id &= u32::MAX >> 1;
            if id != 0 && self.queue(id).is_none() {
                return id;
            }
            id += 1;
        }
    }

    /// Appends a message. Answers who is to be woken, if anybody listens.
    ///
    /// A message never takes the last pages: a worker that starts must be able to listen to a queue
    /// that is full, or nobody would ever empty it.
    pub fn push(
        &mut self,
        slab: &mut Slab<'_>,
        id: u32,
        message: &[u8],
    ) -> Result<Option<Who>, Refused> {
        let mut queue = self.queue(id).ok_or(Refused::NoSuchQueue)?;
        let len = u32::try_from(message.len()).map_err(|_| Refused::Full)?;
        let size = size_of::<Message>() + message.len();
        let before = slab.free_bytes();
        let memory = slab.alloc(size).ok_or(Refused::Full)?;
        let after = slab.free_bytes();
        if after < before && after < reserve(slab.size()) {
            // SAFETY: it was allocated just now, and nothing leads to it.
            unsafe { slab.free(memory) };
            return Err(Refused::Full);
        }
        let new: *mut Message = memory.cast().as_ptr();
        // SAFETY: see above; the allocation has room for the message.
        unsafe {
            new.write(Message {
                next: ptr::null_mut(),
                len,
            });
            ptr::copy_nonoverlapping(message.as_ptr(), new.add(1).cast(), message.len());
            let queue = queue.as_mut();
            match queue.last.as_mut() {
                Some(last) => last.next = new,
                None => queue.first = new,
            }
            queue.last = new;
            queue.messages += 1;
            self.messages += 1;
            Ok(queue.listeners.tell(slab, 1))
        }
    }

    /// Takes the oldest message out, appending it to `out`. `None`: no such queue;
    /// `Some(false)`: it has no message.
    pub fn pop(&mut self, slab: &mut Slab<'_>, id: u32, out: &mut Vec<u8>) -> Option<bool> {
        let mut queue = self.queue(id)?;
        // SAFETY: see above; nothing leads to the message when it is freed.
        unsafe {
            let queue = queue.as_mut();
            let Some(message) = NonNull::new(queue.first) else {
                return Some(false);
            };
            let first = message.as_ptr();
            out.extend_from_slice(bytes(first.add(1).cast(), (*first).len));
            queue.first = (*first).next;
            if queue.first.is_null() {
                queue.last = ptr::null_mut();
            }
            queue.messages -= 1;
            self.messages -= 1;
            slab.free(message.cast());
        }
        Some(true)
    }

    /// Who listens to a queue, and how many messages it has.
    pub fn listeners(&mut self, id: u32) -> Option<(&mut Listeners, u64)> {
        let queue = self.queue(id)?;
        // SAFETY: see above; nothing else is used meanwhile, for this borrows all of it.
        let queue = unsafe { &mut *queue.as_ptr() };
        Some((&mut queue.listeners, queue.messages))
    }

    /// Is a process other than `pid` to be told something that is woken by the same slot?
    pub fn others_due(&self, slot: u32, pid: libc::pid_t) -> bool {
        self.by_id.iter().any(|chain| {
            let mut queue = *chain;
            // SAFETY: see above.
            while let Some(found) = unsafe { queue.as_ref() } {
                if found.listeners.others_due(slot, pid) {
                    return true;
                }
                queue = found.next_by_id;
            }
            false
        })
    }
}

/// Bytes in free pages that messages leave.
fn reserve(size: usize) -> usize {
    (size / 32).max(2 * page_size())
}
