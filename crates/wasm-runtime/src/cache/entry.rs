//! One file: a header, then the code.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::owner::owner;
use crate::artifact::{CODE, MemoryFile};

const MAGIC: [u8; 8] = *b"ngxwasm\n";

/// Bytes of a header.
const HEADER: usize = 8 + 32 + 32 + 8 + 32;

/// Most bytes of code; the largest modules have some ten MiB.
const MAX_CODE: u64 = 1 << 30;

/// How the names of files end that are being written.
pub const TEMPORARY: &str = ".tmp";

/// What stands before the code: the magic, and this.
pub struct Header {
    /// What the code depends on beside the module.
    version: [u8; 32],
    /// Of the module.
    sha256: [u8; 32],
    code_len: u64,
    code_sha256: [u8; 32],
}

/// Why a file does not count.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot be read ({0})")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Invalid(&'static str),
}

impl Header {
    /// For code that is not known yet.
    pub fn new(version: [u8; 32], sha256: [u8; 32]) -> Header {
        Header {
            version,
            sha256,
            code_len: 0,
            code_sha256: [0; 32],
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let len = self.code_len.to_le_bytes();
        [
            &MAGIC[..],
            &self.version,
            &self.sha256,
            &len,
            &self.code_sha256,
        ]
        .concat()
    }

    fn parse(bytes: &[u8; HEADER]) -> Option<Header> {
        let (magic, rest) = bytes.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (sha256, rest) = rest.split_first_chunk()?;
        let (code_len, rest) = rest.split_first_chunk()?;
        (*magic == MAGIC).then_some(Header {
            version: *version,
            sha256: *sha256,
            code_len: u64::from_le_bytes(*code_len),
            code_sha256: *rest.first_chunk()?,
        })
    }
}

/// The code in a file, checked and in a sealed memory file, and the file itself.
pub fn read(path: &Path, expected: &Header) -> Result<(File, File), Error> {
    let mut file = OpenOptions::new()
        .read(true)
        // A pipe in its place would never end to be opened.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Error::Invalid("is no file"));
    }
    owner(&metadata).map_err(Error::Invalid)?;

    let mut header = [0; HEADER];
    if metadata.len() < HEADER as u64 {
        return Err(Error::Invalid("is cut off"));
    }
    file.read_exact(&mut header)?;
    let header = Header::parse(&header).ok_or(Error::Invalid("is not of this cache"))?;
    if header.version != expected.version {
        return Err(Error::Invalid("is of another version or another processor"));
    }
    if header.sha256 != expected.sha256 {
        return Err(Error::Invalid("is of another module"));
    }
    let len = header.code_len;
    if len > MAX_CODE || metadata.len() - HEADER as u64 != len {
        return Err(Error::Invalid("has not the length that it says"));
    }

    let memory = MemoryFile::new(CODE)?;
    let (copied, sha256) = copy(&mut (&file).take(len), &mut memory.file())?;
    if copied != len {
        return Err(Error::Invalid("is cut off"));
    }
    let code = memory.seal()?;
    match sha256 == header.code_sha256 {
        true => Ok((code, file)),
        false => Err(Error::Invalid("is damaged")),
    }
}

/// Copies all there is to read, and answers how many bytes, and their SHA-256. What is hashed is what is written, so the
/// copy need not be read again.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<(u64, [u8; 32])> {
    let mut hash = Sha256::new();
    // Small enough to stay in the processor's cache from the one system call to the other.
    let mut buffer = vec![0; 128 << 10];
    let mut copied = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok((copied, hash.finalize().into())),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hash.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        copied += read as u64;
    }
}

/// Writes a file with all of `code`; whoever reads it meanwhile sees the old one, or all of the new one.
pub fn write(path: &Path, header: Header, code: &File) -> io::Result<()> {
    let new = temporary(path);
    let written = create(&new).and_then(|file| fill(file, header, code));
    let renamed = written.and_then(|()| fs::rename(&new, path));
    if renamed.is_err() {
        // Whether it was made at all is not known.
        let _ = fs::remove_file(&new);
    }
    renamed
}

/// The header says what the code is, so it is written again behind it.
fn fill(mut file: File, mut header: Header, code: &File) -> io::Result<()> {
    file.write_all(&header.to_bytes())?;
    (header.code_len, header.code_sha256) = copy(&mut FromStart { file: code, at: 0 }, &mut file)?;
    file.write_all_at(&header.to_bytes(), 0)
}

/// Reads a file from its start, wherever its own position is: processes that have it open share that.
struct FromStart<'a> {
    file: &'a File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(to, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// A name for a file that is not complete yet, which no other process has: those of other containers can have the same number.
pub fn temporary(path: &Path) -> PathBuf {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos());
    let mut name = path.as_os_str().to_owned();
    name.push(format!(
        ".{}-{number}-{time}{}",
        std::process::id(),
        TEMPORARY
    ));
    name.into()
}
