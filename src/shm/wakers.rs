//! Waking a worker from another process: one eventfd for each slot, made before nginx forks.
//!
//! A worker waits at the slot of its number (`ngx_worker`), modulo the number of slots; so an old
//! worker that still drains and a new one may share a slot, and one then wakes for nothing. All
//! generations of a configuration use the same eventfds, which are closed when no configuration
//! has them. nginx's edge-triggered event methods need not read an eventfd to be told of the next
//! write, which leaves it readable for everybody; with `poll` and `select` it is read.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::{Rc, Weak};

use ngx::ffi::{ngx_ncpu, ngx_worker};
use rustix::event::{EventfdFlags, eventfd};

/// Bounds of the number of slots; between them there is one for each CPU.
const SLOTS: std::ops::RangeInclusive<usize> = 8..=64;

pub struct Wakers(Vec<OwnedFd>);

thread_local! {
    static CURRENT: RefCell<Weak<Wakers>> = const { RefCell::new(Weak::new()) };
}

impl Wakers {
    /// Those that other configurations of this process have, or new ones.
    pub fn get() -> io::Result<Rc<Wakers>> {
        CURRENT.with_borrow_mut(|current| {
            if let Some(wakers) = current.upgrade() {
                return Ok(wakers);
            }
            // SAFETY: nginx counts the CPUs before it reads the configuration.
            let cpus = usize::try_from(unsafe { ngx_ncpu }).unwrap_or(0);
            let fds = (0..cpus.clamp(*SLOTS.start(), *SLOTS.end())).map(|_| new());
            let wakers = Rc::new(Wakers(fds.collect::<io::Result<_>>()?));
            *current = Rc::downgrade(&wakers);
            Ok(wakers)
        })
    }

    /// Where this process waits.
    pub fn own_slot(&self) -> u32 {
        // SAFETY: set when the process starts; 0 in one that is alone.
        (unsafe { ngx_worker } % self.0.len()) as u32
    }

    /// The eventfd of a slot.
    pub fn fd(&self, slot: u32) -> Option<RawFd> {
        self.0.get(slot as usize).map(AsRawFd::as_raw_fd)
    }

    /// Wakes who waits at the slot; its event is handled in its event loop.
    pub fn wake(&self, slot: u32) {
        if let Some(fd) = self.0.get(slot as usize) {
            // It fails only when the counter is at its end, and then it is readable.
            let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
        }
    }

    pub fn wake_all(&self) {
        for slot in 0..self.0.len() {
            self.wake(slot as u32);
        }
    }

    /// Makes a slot unreadable, for event methods that would call again and again.
    pub fn clear(&self, slot: u32) {
        if let Some(fd) = self.0.get(slot as usize) {
            // It does not block: another process of the slot may have been faster.
            let _ = rustix::io::read(fd, &mut [0u8; 8]);
        }
    }
}

fn new() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}
