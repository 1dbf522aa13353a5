//! Who is to be told of a queue's messages.
//!
//! The newest listener that lives is told, as in Envoy (proxy-wasm-cpp-host, `shared_queue.cc`):
//! once for each message. What a listener has not been told yet is its `due`; when it goes, another
//! one gets that.

use std::ptr::{self, NonNull};

use rustix::process::{Pid, test_kill_process};

use crate::shm::slab::Slab;

/// A root context that listens: of which process, which of its instances.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    pub pid: libc::pid_t,
    /// How to wake the process.
    pub slot: u32,
    /// Number of the instance in its process.
    pub instance: u64,
    pub root: u32,
}

#[repr(C)]
struct Listener {
    next: *mut Listener,
    who: Who,
    /// How often it is still to be told.
    due: u64,
}

/// The listeners of one queue, newest first. All that leads from here is whole, as with the queue.
#[repr(C)]
pub struct Listeners(*mut Listener);

impl Default for Listeners {
    fn default() -> Listeners {
        Listeners(ptr::null_mut())
    }
}

impl Listeners {
    /// Makes `who` the newest listener. It is to be told of all of the queue's messages that no
    /// other listener is to be told of; the answer says whether there are any. `None`: no room.
    pub fn add(&mut self, slab: &mut Slab<'_>, who: Who, messages: u64) -> Option<bool> {
        // What the dead were to be told shows up in `messages`.
        self.take_out(slab, |other| !lives(other.pid));
        let own = self.take_out(slab, |other| *other == who);
        let others = self.iter().map(|listener| listener.due);
        let others = others.fold(0, u64::saturating_add);
        let due = own.max(messages.saturating_sub(others));
        let new: *mut Listener = slab.alloc(size_of::<Listener>())?.cast().as_ptr();
        // SAFETY: the memory is new, and large enough.
        unsafe {
            new.write(Listener {
                next: self.0,
                who,
                due,
            });
        }
        self.0 = new;
        Some(due > 0)
    }

    /// Drops listeners; what they were to be told goes to another one. Answers who is to be woken.
    pub fn remove(&mut self, slab: &mut Slab<'_>, whom: impl FnMut(&Who) -> bool) -> Option<Who> {
        let due = self.take_out(slab, whom);
        self.tell(slab, due)
    }

    /// Has the newest listener that lives told so many times more; the dead go on the way. Answers
    /// who is to be woken.
    pub fn tell(&mut self, slab: &mut Slab<'_>, mut times: u64) -> Option<Who> {
        while times > 0 {
            // SAFETY: see `Listeners`.
            let newest = unsafe { self.0.as_mut() }?;
            if lives(newest.who.pid) {
                newest.due = newest.due.saturating_add(times);
                return Some(newest.who);
            }
            let dead = newest.who;
            times = times.saturating_add(self.take_out(slab, |other| *other == dead));
        }
        None
    }

    /// How often `who` is to be told now, at most so many times, and how often behind that.
    pub fn take_due(&mut self, who: Who, most: u64) -> Option<(u64, u64)> {
        let mut listener = self.0;
        // SAFETY: see `Listeners`.
        while let Some(found) = unsafe { listener.as_mut() } {
            if found.who == who {
                let now = found.due.min(most);
                found.due -= now;
                return Some((now, found.due));
            }
            listener = found.next;
        }
        None
    }

    /// Is a process other than `pid` to be told something that is woken by the same slot?
    pub fn others_due(&self, slot: u32, pid: libc::pid_t) -> bool {
        self.iter().any(|listener| {
            let who = &listener.who;
            listener.due > 0 && who.slot == slot && who.pid != pid && lives(who.pid)
        })
    }

    fn iter(&self) -> impl Iterator<Item = &Listener> {
        // SAFETY: see `Listeners`.
        let mut next = unsafe { self.0.as_ref() };
        std::iter::from_fn(move || {
            let listener = next?;
            // SAFETY: see `Listeners`.
            next = unsafe { listener.next.as_ref() };
            Some(listener)
        })
    }

    /// Drops listeners; the answer is how often they were still to be told.
    fn take_out(&mut self, slab: &mut Slab<'_>, mut whom: impl FnMut(&Who) -> bool) -> u64 {
        let mut due = 0u64;
        let mut link = &raw mut self.0;
        // SAFETY: see `Listeners`; nothing leads to a listener when it is freed.
        unsafe {
            while let Some(listener) = NonNull::new(*link) {
                if whom(&listener.as_ref().who) {
                    due = due.saturating_add(listener.as_ref().due);
                    *link = listener.as_ref().next;
                    slab.free(listener.cast());
                } else {
                    link = &raw mut (*listener.as_ptr()).next;
                }
            }
        }
        due
    }
}

/// Is there a process of this number, of our own user? (A zombie counts, until nginx's master has
/// seen to it.)
fn lives(pid: libc::pid_t) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok())
}
