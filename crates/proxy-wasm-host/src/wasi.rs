//! WASI preview 1, as far as a filter has a system: log lines, clocks, random bytes and the
//! configured environment. There is no file system and no socket. Nothing but `proc_exit` traps.
//!
//! Source: WASI `wasi_snapshot_preview1.witx`; the answers are those of the reference host.

use std::time::Instant;

use wasm_runtime::wasmtime::{Caller, Error, Linker, Result};

use crate::abi::{LogLevel, Status};
use crate::capabilities::Capability;
use crate::hostcalls::now;
use crate::memory::{parts, read_u32, slice, slice_mut, write, write_u32, write_u64};
use crate::state::State;
use crate::traits::Proxy;

/// Both names of the same functions.
const MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

#[repr(u32)]
#[derive(Clone, Copy)]
enum Errno {
    Success = 0,
    Badf = 8,
    Fault = 21,
    Inval = 28,
    Io = 29,
    Noent = 44,
    Nosys = 52,
    Notsup = 58,
    Notcapable = 76,
}

/// The memory helpers know one error only, a bad address.
impl From<Status> for Errno {
    fn from(_: Status) -> Errno {
        Errno::Fault
    }
}

fn code(result: Result<(), Errno>) -> u32 {
    match result {
        Ok(()) => Errno::Success as u32,
        Err(errno) => errno as u32,
    }
}

/// Most bytes of one `random_get`.
const MAX_RANDOM: u32 = 64 << 10;
/// Most bytes of one `fd_write`; the guest's library writes the rest with another one.
const MAX_WRITE: usize = 64 << 10;
/// Most pieces of one `fd_write`, as Linux has it.
const MAX_PIECES: u32 = 1024;

/// Defines functions that only answer with an errno.
macro_rules! answer {
    ($linker:ident, $module:ident: $($errno:ident { $($name:literal($($parameter:ty),*))+ })+) => {
        $($($linker.func_wrap($module, $name, |$(_: $parameter),*| Errno::$errno as u32)?;)+)+
    };
}

pub(crate) fn define<P: Proxy>(linker: &mut Linker<State<P>>) -> Result<()> {
    for module in MODULES {
        linker
            .func_wrap(module, "args_sizes_get", args_sizes_get::<P>)?
            .func_wrap(module, "environ_get", environ_get::<P>)?
            .func_wrap(module, "environ_sizes_get", environ_sizes_get::<P>)?
            .func_wrap(module, "clock_res_get", clock_res_get::<P>)?
            .func_wrap(module, "clock_time_get", clock_time_get::<P>)?
            .func_wrap(module, "fd_fdstat_get", fd_fdstat_get::<P>)?
            .func_wrap(module, "fd_seek", fd_seek::<P>)?
            .func_wrap(module, "fd_write", fd_write::<P>)?
            .func_wrap(module, "poll_oneoff", poll_oneoff::<P>)?
            .func_wrap(module, "proc_exit", proc_exit)?
            .func_wrap(module, "random_get", random_get::<P>)?;
        answer!(linker, module:
            Success {
                "args_get"(u32, u32)
                "fd_advise"(u32, u64, u64, u32)
                "fd_close"(u32)
                "sched_yield"()
            }
            Badf {
                "fd_allocate"(u32, u64, u64)
                "fd_datasync"(u32)
                "fd_fdstat_set_rights"(u32, u64, u64)
                "fd_filestat_get"(u32, u32)
                "fd_filestat_set_size"(u32, u64)
                "fd_filestat_set_times"(u32, u64, u64, u32)
                "fd_pread"(u32, u32, u32, u64, u32)
                // Ends the guest's search for preopened directories.
                "fd_prestat_get"(u32, u32)
                "fd_prestat_dir_name"(u32, u32, u32)
                "fd_pwrite"(u32, u32, u32, u64, u32)
                "fd_readdir"(u32, u32, u32, u64, u32)
                "fd_renumber"(u32, u32)
                "fd_sync"(u32)
                "fd_tell"(u32, u32)
                "proc_raise"(u32)
            }
            Noent {
                "path_open"(u32, u32, u32, u32, u32, u64, u64, u32, u32)
            }
            Nosys {
                "fd_fdstat_set_flags"(u32, u32)
                "fd_read"(u32, u32, u32, u32)
            }
            Notsup {
                "path_create_directory"(u32, u32, u32)
                "path_filestat_get"(u32, u32, u32, u32, u32)
                "path_filestat_set_times"(u32, u32, u32, u32, u64, u64, u32)
                "path_link"(u32, u32, u32, u32, u32, u32, u32)
                "path_readlink"(u32, u32, u32, u32, u32, u32)
                "path_remove_directory"(u32, u32, u32)
                "path_rename"(u32, u32, u32, u32, u32, u32)
                "path_symlink"(u32, u32, u32, u32, u32)
                "path_unlink_file"(u32, u32, u32)
                "sock_accept"(u32, u32, u32)
                "sock_recv"(u32, u32, u32, u32, u32, u32)
                "sock_send"(u32, u32, u32, u32, u32)
                "sock_shutdown"(u32, u32)
            }
        );
    }
    Ok(())
}

/// `Err(Notcapable)`: the guest may not use this function.
fn require<P: Proxy>(
    caller: &mut Caller<'_, State<P>>,
    capability: Capability,
    function: &str,
) -> Result<(), Errno> {
    let required = caller.data_mut().require(capability, function);
    required.map_err(|_| Errno::Notcapable)
}

fn args_sizes_get<P: Proxy>(mut caller: Caller<'_, State<P>>, count: u32, bytes: u32) -> u32 {
    let mut run = || {
        let (memory, _) = parts(&mut caller)?;
        write_u32(memory, count, 0)?;
        write_u32(memory, bytes, 0)?;
        Ok(())
    };
    code(run())
}

/// Bytes of `name=value\0`.
fn entry_len((name, value): &(Vec<u8>, Vec<u8>)) -> Option<u32> {
    u32::try_from(name.len().checked_add(value.len())?.checked_add(2)?).ok()
}

fn environ_sizes_get<P: Proxy>(mut caller: Caller<'_, State<P>>, count: u32, bytes: u32) -> u32 {
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        let env = &state.config.env;
        let total = env
            .iter()
            .try_fold(0_u32, |total, entry| total.checked_add(entry_len(entry)?))
            .ok_or(Errno::Inval)?;
        write_u32(memory, count, env.len() as u32)?;
        write_u32(memory, bytes, total)?;
        Ok(())
    };
    code(run())
}

fn environ_get<P: Proxy>(mut caller: Caller<'_, State<P>>, pointers: u32, bytes: u32) -> u32 {
    let mut run = || {
        let (memory, state) = parts(&mut caller)?;
        let (mut pointer, mut at) = (pointers, bytes);
        for entry in &state.config.env {
            let len = entry_len(entry).ok_or(Errno::Inval)?;
            let (name, value) = entry;
            write_u32(memory, pointer, at)?;
            let place = slice_mut(memory, at, len)?;
            place[..name.len()].copy_from_slice(name);
            place[name.len()] = b'=';
            place[name.len() + 1..][..value.len()].copy_from_slice(value);
            place[name.len() + 1 + value.len()] = 0;
            // Checked: both are past what has just been written.
            pointer = pointer.wrapping_add(4);
            at = at.wrapping_add(len);
        }
        Ok(())
    };
    code(run())
}

/// Both clocks that there are count nanoseconds.
fn clock_res_get<P: Proxy>(mut caller: Caller<'_, State<P>>, clock: u32, out: u32) -> u32 {
    let mut run = || {
        require(&mut caller, Capability::Clock, "clock_res_get")?;
        if clock > 1 {
            return Err(Errno::Notsup);
        }
        let (memory, _) = parts(&mut caller)?;
        write_u64(memory, out, 1)?;
        Ok(())
    };
    code(run())
}

fn clock_time_get<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    clock: u32,
    _precision: u64,
    out: u32,
) -> u32 {
    let mut run = || {
        require(&mut caller, Capability::Clock, "clock_time_get")?;
        let (memory, state) = parts(&mut caller)?;
        let time = match clock {
            0 => now().ok_or(Errno::Inval)?,
            1 => monotonic(state.started),
            _ => return Err(Errno::Notsup),
        };
        write_u64(memory, out, time)?;
        Ok(())
    };
    code(run())
}

/// Nanoseconds since the VM's start, and never 0, which Go takes for "not set".
fn monotonic(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos())
        .unwrap_or(u64::MAX)
        .saturating_add(1)
}

fn fd_fdstat_get<P: Proxy>(mut caller: Caller<'_, State<P>>, fd: u32, out: u32) -> u32 {
    let mut run = || {
        if fd != 1 && fd != 2 {
            return Err(Errno::Badf);
        }
        let (memory, _) = parts(&mut caller)?;
        // File type and flags: none. The base rights, 8 bytes at 8: fd_write.
        let mut stat = [0; 24];
        stat[8] = 64;
        write(memory, out, stat)?;
        Ok(())
    };
    code(run())
}

fn fd_seek<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    _fd: u32,
    _offset: u64,
    _whence: u32,
    out: u32,
) -> u32 {
    let mut run = || {
        let (memory, _) = parts(&mut caller)?;
        write_u64(memory, out, 0)?;
        Ok(())
    };
    code(run())
}

/// Standard output becomes log lines of level info, standard error such of level error.
fn fd_write<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    fd: u32,
    pieces: u32,
    count: u32,
    out: u32,
) -> u32 {
    let mut run = || {
        let level = match fd {
            1 => LogLevel::Info,
            2 => LogLevel::Error,
            _ => return Err(Errno::Badf),
        };
        if count > MAX_PIECES {
            return Err(Errno::Inval);
        }
        let (memory, state) = parts(&mut caller)?;
        slice(memory, out, 4)?;
        slice(memory, pieces, count * 8)?;

        let mut text = std::mem::take(&mut state.scratch);
        text.clear();
        let result = gather(memory, pieces, count, &mut text);
        let written = text.len() as u32;
        if result.is_ok() {
            state.print(level, &text);
        }
        state.scratch = text;
        result?;
        write_u32(memory, out, written)?;
        Ok(())
    };
    code(run())
}

/// Appends the pieces, up to the limit.
fn gather(memory: &[u8], pieces: u32, count: u32, text: &mut Vec<u8>) -> Result<(), Errno> {
    for i in 0..count {
        // Checked: the whole list lies in memory.
        let ptr = read_u32(memory, pieces + i * 8)?;
        let len = read_u32(memory, pieces + i * 8 + 4)?;
        if len > 0 {
            let piece = slice(memory, ptr, len)?;
            let room = MAX_WRITE - text.len();
            text.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() >= room {
                break;
            }
        }
    }
    Ok(())
}

/// No event ever comes, at once. Go's scheduler needs the success, also inside its allocator.
fn poll_oneoff<P: Proxy>(
    mut caller: Caller<'_, State<P>>,
    _subscriptions: u32,
    _events: u32,
    _count: u32,
    out: u32,
) -> u32 {
    let mut run = || {
        let (memory, _) = parts(&mut caller)?;
        write_u32(memory, out, 0)?;
        Ok(())
    };
    code(run())
}

fn proc_exit(exit_code: u32) -> Result<()> {
    Err(Error::msg(format!("proc_exit({})", exit_code as i32)))
}

fn random_get<P: Proxy>(mut caller: Caller<'_, State<P>>, ptr: u32, len: u32) -> u32 {
    let mut run = || {
        require(&mut caller, Capability::Random, "random_get")?;
        if len > MAX_RANDOM {
            return Err(Errno::Inval);
        }
        let (memory, _) = parts(&mut caller)?;
        getrandom::fill(slice_mut(memory, ptr, len)?).map_err(|_| Errno::Io)
    };
    code(run())
}
