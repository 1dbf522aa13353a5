//! Reading nginx's files.

use std::io::{Error, ErrorKind, Result};
use std::os::fd::RawFd;

/// What place, length and memory of a read are multiples of when a file is open with `O_DIRECT`: a
/// page, which holds whole blocks of nearly all disks (`open(2)`).
const ALIGNMENT: usize = 4096;

/// Passes `len` bytes at `offset` on. `direct`: nginx has opened the file with `O_DIRECT`
/// (`directio`).
///
/// # Errors
/// Those of `pread(2)`; [`ErrorKind::UnexpectedEof`] when the file ends before.
pub fn read(
    fd: RawFd,
    direct: bool,
    offset: u64,
    len: usize,
    found: &mut dyn FnMut(&[u8]),
) -> Result<()> {
    if direct {
        match read_aligned(fd, offset, len, found) {
            // Larger blocks than a page, or a file system that has other rules.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
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
fn read_aligned(fd: RawFd, offset: u64, len: usize, found: &mut dyn FnMut(&[u8])) -> Result<()> {
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
fn read_up_to(fd: RawFd, offset: u64, enough: usize, bytes: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < enough {
        let rest = &mut bytes[filled..];
        let at = offset + filled as u64;
        // SAFETY: the rest is writable for its length.
        let read =
            unsafe { libc::pread(fd, rest.as_mut_ptr().cast(), rest.len(), at as libc::off_t) };
        match usize::try_from(read) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(_) => {
                let error = Error::last_os_error();
                if error.kind() != ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    Ok(filled)
}

/// Sets or clears `O_DIRECT` of an open file.
fn set_direct(fd: RawFd, on: bool) -> Result<()> {
    // SAFETY: the calls touch no memory of this process.
    unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        let flags = match on {
            true => flags | libc::O_DIRECT,
            false => flags & !libc::O_DIRECT,
        };
        if flags < 0 || libc::fcntl(fd, libc::F_SETFL, flags) < 0 {
            return Err(Error::last_os_error());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn reads_any_part_of_a_file_with_and_without_o_direct() {
        let bytes: Vec<u8> = (0..20_000_u32).map(|n| (n % 251) as u8).collect();
        let path = std::env::temp_dir().join(format!("nginx-wasm-file-{}", std::process::id()));
        std::fs::write(&path, &bytes).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let fd = file.as_raw_fd();
        // Not every file system can.
        let direct = set_direct(fd, true).is_ok();
        for (offset, len) in [
            (0, 20_000),
            (0, 1),
            (4095, 2),
            (4096, 4096),
            (5000, 15_000),
            (19_999, 1),
        ] {
            let mut got = Vec::new();
            read(fd, direct, offset, len, &mut |part| {
                got.extend_from_slice(part)
            })
            .unwrap();
            assert_eq!(
                got,
                bytes[offset as usize..offset as usize + len],
                "{offset} {len}"
            );
        }
        let error = read(fd, direct, 19_999, 2, &mut |_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}
