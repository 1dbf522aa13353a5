//! Signals of this process: which of them wait, and for how long.

use std::io;
use std::mem::zeroed;

use rustix::process::{WaitId, WaitIdOptions, waitid};

/// Which signals a thread does not get for now.
pub(crate) struct Mask(libc::sigset_t);

/// Blocks all signals of this thread, and answers which were blocked before. A process that handles signals in its one
/// thread, as nginx does, must not get them in another, where they would interrupt nothing.
#[allow(unsafe_code)]
pub(crate) fn block_all() -> io::Result<Mask> {
    // SAFETY: a set is an array of numbers, so zeroes are one; the system writes to both sets, which are local.
    unsafe {
        let (mut all, mut before) = (zeroed(), zeroed());
        libc::sigfillset(&mut all);
        match libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before) {
            0 => Ok(Mask(before)),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// Has this thread get its signals as before.
#[allow(unsafe_code)]
pub(crate) fn restore(mask: &Mask) {
    // SAFETY: the set is only read, and a null pointer asks for no answer.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &mask.0, std::ptr::null_mut()) };
}

impl Mask {
    /// The same with SIGCHLD blocked.
    #[allow(unsafe_code)]
    pub fn with_children(&self) -> Mask {
        let mut mask = self.0;
        // SAFETY: a valid number of a signal, and a set that is local.
        unsafe { libc::sigaddset(&mut mask, libc::SIGCHLD) };
        Mask(mask)
    }
}

/// Is SIGCHLD pending, while it is blocked?
#[allow(unsafe_code)]
pub(crate) fn child_pending() -> bool {
    // SAFETY: a set is an array of numbers, so zeroes are one; it is local.
    unsafe {
        let mut pending = zeroed();
        libc::sigpending(&mut pending) == 0 && libc::sigismember(&pending, libc::SIGCHLD) == 1
    }
}

/// Takes a pending SIGCHLD back, which is blocked, as its child has been waited for. Those of other children that have
/// ended meanwhile were merged into it, so for them it is sent anew.
#[allow(unsafe_code)]
pub(crate) fn take_child() {
    let now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a set is an array of numbers, so zeroes are one; all of it is local, and a null pointer asks for no details.
    unsafe {
        let mut child = zeroed();
        libc::sigemptyset(&mut child);
        libc::sigaddset(&mut child, libc::SIGCHLD);
        libc::sigtimedwait(&child, std::ptr::null_mut(), &now);
    }
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if let Ok(Some(_)) = waitid(WaitId::All, ended) {
        // SAFETY: a signal to this process itself, which has it blocked.
        unsafe { libc::kill(libc::getpid(), libc::SIGCHLD) };
    }
}

/// For a process that has just been forked, with all signals blocked: handlers of its parent's must not run in it. What
/// was ignored stays so.
#[allow(unsafe_code)]
pub(crate) fn reset() {
    // SAFETY: the system refuses numbers that are none, and those that are the C library's own; all of it is local.
    unsafe {
        for number in 1..=libc::SIGRTMAX() {
            let mut action: libc::sigaction = zeroed();
            if libc::sigaction(number, std::ptr::null(), &mut action) == 0
                && action.sa_sigaction != libc::SIG_IGN
            {
                libc::signal(number, libc::SIG_DFL);
            }
        }
        let mut none = zeroed();
        libc::sigemptyset(&mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}
