//! Reading nginx's files.

use std::io::{ErrorKind, Result};
use std::os::fd::BorrowedFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

/// What place, length and memory of a read are multiples of when a file is open with `O_DIRECT`: a
/// page, which holds whole blocks of nearly all disks (`open(2)`).
const ALIGNMENT: usize = 4096;

/// Passes `len` bytes at `offset` on. `direct`: nginx has opened the file with `O_DIRECT`
/// (`directio`).
///
/// # Errors
/// Those of `pread(2)`; [`ErrorKind::UnexpectedEof`] when the file ends before.
pub fn read(
    fd: BorrowedFd<'_>,
    direct: bool,
    offset: u64,
    len: usize,
    found: &mut dyn FnMut(&[u8]),
) -> Result<()> {
    if direct {
        match read_aligned(fd, offset, len, found) {
            // Larger blocks than a page, or a file system that has other rules.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {}
            result => return result,
        }
        // As nginx reads what is not aligned (`ngx_output_chain_copy_buf`).
        set_direct(fd, false)?;
    }
    let mut bytes = vec![0; len];
    let read = read_up_to(fd, offset, len, &mut bytes);
    if direct {
        set_direct(fd, true)?;
    }
    if read? < len {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    found(&bytes);
    Ok(())
}

/// Reads the blocks that the bytes lie in.
fn read_aligned(
    fd: BorrowedFd<'_>,
    offset: u64,
    len: usize,
    found: &mut dyn FnMut(&[u8]),
) -> Result<()> {
    let skip = (offset % ALIGNMENT as u64) as usize;
    let size = (skip + len).next_multiple_of(ALIGNMENT);
    let mut memory = vec![0; size + ALIGNMENT];
    let start = memory.as_ptr().align_offset(ALIGNMENT);
    let blocks = memory
        .get_mut(start..start.saturating_add(size))
        .ok_or(ErrorKind::InvalidInput)?;
    let read = read_up_to(fd, offset - skip as u64, skip + len, blocks)?;
    match blocks.get(skip..skip + len) {
        Some(bytes) if read >= skip + len => found(bytes),
        _ => return Err(ErrorKind::UnexpectedEof.into()),
    }
    Ok(())
}

/// Fills `bytes` from the file until there are `enough`, or it ends: how many there are. (What is behind the
/// end of a file that is open with `O_DIRECT` cannot be asked for.)
fn read_up_to(fd: BorrowedFd<'_>, offset: u64, enough: usize, bytes: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < enough {
        let rest = &mut bytes[filled..];
        let at = offset + filled as u64;
        match rustix::io::pread(fd, rest, at) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

/// Sets or clears `O_DIRECT` of an open file.
fn set_direct(fd: BorrowedFd<'_>, on: bool) -> Result<()> {
    let mut flags = fcntl_getfl(fd)?;
    flags.set(OFlags::DIRECT, on);
    Ok(fcntl_setfl(fd, flags)?)
}
