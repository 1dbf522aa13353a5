//! What one worker of all does: a lock on a byte of a file that all workers have inherited.
//!
//! The system takes the lock back when a process ends, however it ends, and locks are not inherited by forks (`fcntl`,
//! F_SETLK). All generations of a configuration use the same file, so what an old worker holds is not held by a new one.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::shm::wakers::Wakers;

/// The file. It has no content.
pub struct Leases(File);

thread_local! {
    static CURRENT: RefCell<Weak<Leases>> = const { RefCell::new(Weak::new()) };
    /// Who waits for one that another process holds.
    static WAITING: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

impl Leases {
    /// Those that other configurations of this process have, or new ones. To be called before nginx forks.
    pub fn get() -> io::Result<Rc<Leases>> {
        CURRENT.with_borrow_mut(|current| {
            if let Some(leases) = current.upgrade() {
                return Ok(leases);
            }
            let file = memfd_create("nginx-wasm-leases", MemfdFlags::CLOEXEC)?;
            let leases = Rc::new(Leases(file.into()));
            *current = Rc::downgrade(&leases);
            Ok(leases)
        })
    }

    /// Takes the lease of this number. `None`: another process has it. What this process has already, it gets again.
    pub fn take(self: &Rc<Self>, number: u64, wakers: &Rc<Wakers>) -> Option<Lease> {
        self.lock(number, libc::F_WRLCK).then(|| Lease {
            leases: self.clone(),
            number,
            wakers: wakers.clone(),
        })
    }

    /// `false`: another process has it.
    fn lock(&self, number: u64, kind: libc::c_int) -> bool {
        let lock = libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            // A byte needs not be there to be locked.
            l_start: (number >> 1) as libc::off_t,
            l_len: 1,
            l_pid: 0,
        };
        // SAFETY: the file is open, and the structure is one of this command; it does not block.
        unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_SETLK, &lock) == 0 }
    }
}

/// What no other process has, until this is dropped.
pub struct Lease {
    leases: Rc<Leases>,
    number: u64,
    wakers: Rc<Wakers>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.lock(self.number, libc::F_UNLCK);
        self.wakers.wake_all();
    }
}

/// Has whoever is polled with this woken when another process may have given a lease back. One that was killed tells nobody.
pub fn poll_given_back(context: &Context<'_>) -> Poll<()> {
    WAITING.with_borrow_mut(|waiting| {
        let waker = context.waker();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    });
    Poll::Pending
}

/// Another process has woken this one.
pub fn look() {
    WAITING.take().into_iter().for_each(Waker::wake);
}
