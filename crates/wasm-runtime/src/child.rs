//! Work in a process of its own, whose threads and memory are gone when it is done.
//!
//! It is forked, and goes on in a copy of this process's memory. That holds in a process with one thread, as nginx's master
//! is, and in others as well: the C library's allocator is in order after a fork, and the work takes no lock that another
//! thread could have had then.
//!
//! nginx reaps all children that it hears of in its handler of SIGCHLD, and writes of unknown ones. So SIGCHLD waits
//! until the child has been waited for by its number. Other signals come as ever, if nginx has not blocked them itself.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, getppid, set_parent_process_death_signal, waitpid,
};

use crate::signals;

/// What the process is called, in place of its program.
const NAME: &std::ffi::CStr = c"wasm-compile";

/// Most bytes of an error; so many fit in a pipe that nobody reads yet.
const MAX_TEXT: u64 = 4000;

/// Why there is no result of the work itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// There was no process.
    #[error("{0}")]
    Start(io::Error),
    /// It ended before it was done. The text is one line.
    #[error("{0}")]
    Died(String),
}

/// Does the work in a process of its own, and answers what came of it, in `Err` a line of text. What it has done to memory
/// is lost: a result goes to a file.
pub(crate) fn run(work: impl FnOnce() -> Result<(), String>) -> Result<Result<(), String>, Failed> {
    let (reader, writer) = io::pipe().map_err(Failed::Start)?;
    let before = signals::block_all().map_err(Failed::Start)?;
    let had_pending = signals::child_pending();
    let parent = getpid();
    let child = match fork() {
        Ok(Some(child)) => child,
        Ok(None) => be_child(parent, work, writer),
        Err(error) => {
            signals::restore(&before);
            return Err(Failed::Start(error));
        }
    };
    signals::restore(&before.with_children());
    drop(writer);
    let status = wait(child);
    if !had_pending {
        signals::take_child();
    }
    signals::restore(&before);
    match answer(reader) {
        Some(answer) => Ok(answer),
        None => Err(Failed::Died(how_it_ended(status))),
    }
}

/// Forks; `None`: this is the child.
#[allow(unsafe_code)]
fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the child does nothing but its work, and leaves by `_exit`. Handlers of signals are not run in it: they are
    // blocked until they are reset.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        child => Ok(Pid::from_raw(child)),
    }
}

/// The child's life. It ends without what the parent has registered for its own end.
fn be_child(parent: Pid, work: impl FnOnce() -> Result<(), String>, mut writer: PipeWriter) -> ! {
    signals::reset();
    name();
    // Who waits for it may have gone before this is said.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    if getppid() == Some(parent) {
        let done = catch_unwind(AssertUnwindSafe(work));
        let (kind, text) = match done {
            Ok(Ok(())) => (DONE, String::new()),
            Ok(Err(text)) => (FAILED, text),
            Err(_) => (FAILED, "the compiler panicked".to_owned()),
        };
        let len = text.floor_char_boundary(MAX_TEXT as usize);
        let message = [&[kind], &text.as_bytes()[..len]].concat();
        // Its parent says that there is nothing.
        let _ = writer.write_all(&message);
    }
    exit()
}

/// How messages of children begin.
const DONE: u8 = b'+';
const FAILED: u8 = b'-';

/// Tools that list processes show the name.
#[allow(unsafe_code)]
fn name() {
    // SAFETY: the system copies the name, which has a NUL behind it.
    unsafe { libc::prctl(libc::PR_SET_NAME, NAME.as_ptr()) };
}

#[allow(unsafe_code)]
fn exit() -> ! {
    // SAFETY: it only ends the process.
    unsafe { libc::_exit(0) }
}

/// How the child has ended; `None`: that is not known, as whoever started this process has it ignore its children.
fn wait(child: Pid) -> Option<WaitStatus> {
    loop {
        match waitpid(Some(child), WaitOptions::empty()) {
            Ok(found) => return found.map(|(_, status)| status),
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// The message of a child that has ended. Another one, forked meanwhile by another thread, may have the pipe open, so its
/// end is not waited for.
fn answer(reader: PipeReader) -> Option<Result<(), String>> {
    let reader = File::from(std::os::fd::OwnedFd::from(reader));
    rustix::io::ioctl_fionbio(&reader, true).ok()?;
    let mut message = vec![0; 1 + MAX_TEXT as usize];
    let read = (&reader).read(&mut message).ok()?;
    match message.get(..read)?.split_first()? {
        (&DONE, _) => Some(Ok(())),
        (_, text) => Some(Err(String::from_utf8_lossy(text).into_owned())),
    }
}

fn how_it_ended(status: Option<WaitStatus>) -> String {
    let signal = status.and_then(|status| status.terminating_signal());
    match signal {
        Some(libc::SIGKILL) => "its process was killed by signal 9, as when memory runs out".into(),
        Some(signal) => format!("its process was ended by signal {signal}"),
        None => "its process ended early".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::atomic::{AtomicI32, Ordering};
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;

    fn told(work: impl FnOnce() -> Result<(), String>) -> String {
        match run(work) {
            Ok(Ok(())) => "done".into(),
            Ok(Err(text)) => text,
            Err(Failed::Died(how)) => how,
            Err(Failed::Start(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn what_comes_of_it() {
        assert_eq!(told(|| Ok(())), "done");
        assert_eq!(told(|| Err("a line".into())), "a line");
        assert_eq!(told(|| Err(String::new())), "");
        assert_eq!(told(|| panic!("a test")), "the compiler panicked");
        let long = "é".repeat(10_000);
        assert_eq!(
            told(|| Err(format!("a{long}"))),
            format!("a{}", &long[..3998])
        );
    }

    #[test]
    #[allow(unsafe_code)]
    fn how_it_can_end() {
        let killed = |signal| {
            // SAFETY: a signal to the child itself.
            told(|| unsafe {
                libc::raise(signal);
                Ok(())
            })
        };
        assert_eq!(
            killed(libc::SIGKILL),
            "its process was killed by signal 9, as when memory runs out"
        );
        assert_eq!(killed(libc::SIGTERM), "its process was ended by signal 15");
        assert_eq!(told(|| exit()), "its process ended early");
    }

    #[test]
    fn its_memory_is_its_own() {
        let mut number = 1;
        assert_eq!(
            told(|| {
                number = 2;
                assert_eq!(number, 2);
                Ok(())
            }),
            "done"
        );
        assert_eq!(number, 1);
    }

    /// The last child that the handler has waited for, and how often it was called.
    static REAPED: AtomicI32 = AtomicI32::new(0);
    static CALLS: AtomicI32 = AtomicI32::new(0);

    /// Waits for children as nginx's does.
    #[allow(unsafe_code)]
    extern "C" fn reap(_: libc::c_int) {
        CALLS.fetch_add(1, Ordering::Relaxed);
        loop {
            // SAFETY: a null pointer asks for no status.
            match unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } {
                child if child > 0 => REAPED.store(child, Ordering::Relaxed),
                _ => return,
            }
        }
    }

    /// In a process with one thread, as the test's own has several.
    #[test]
    #[allow(unsafe_code)]
    fn who_waits_for_any_child_hears_of_others_alone() {
        let checks = || {
            // SAFETY: the handler makes no call that it must not.
            unsafe { libc::signal(libc::SIGCHLD, reap as *const () as usize) };
            let check = |holds: bool, what: &str| holds.then_some(()).ok_or(what.to_owned());
            check(told(|| Ok(())) == "done", "a child is waited for")?;
            check(
                CALLS.load(Ordering::Relaxed) == 0,
                "and nobody else hears of it",
            )?;

            // Another one that ends while this one runs: both signals are one.
            let mut other = Command::new("cat");
            let other = other.stdin(Stdio::piped());
            let mut other = other.spawn().map_err(|error| error.to_string())?;
            let number = other.id();
            let stat = || std::fs::read_to_string(format!("/proc/{number}/stat"));
            let work = || {
                other.kill().map_err(|error| error.to_string())?;
                while !stat().is_ok_and(|stat| stat.contains(") Z ")) {
                    sleep(Duration::from_millis(1));
                }
                Ok(())
            };
            check(told(work) == "done", "the next one is waited for")?;
            check(
                CALLS.load(Ordering::Relaxed) == 1,
                "one call of the handler",
            )?;
            check(
                REAPED.load(Ordering::Relaxed) == number as i32,
                "for the other one",
            )?;
            // SAFETY: this disposition has no handler.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            check(told(|| Ok(())) == "done", "children are ignored")?;
            check(
                told(|| exit()) == "its process ended early",
                "and their ends not known",
            )
        };
        assert_eq!(told(checks), "done");
    }
}
