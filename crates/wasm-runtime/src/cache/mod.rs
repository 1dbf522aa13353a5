//! Compiled code in files, so that a restart does not compile again.
//!
//! What is in such a file is run, so it counts only in a directory that nobody else can write to, and when it is, byte for
//! byte, what a process with the same compiler, settings and processor wrote. It is checked while it is copied to memory,
//! and the copy, which is sealed, is what is run: the file can change meanwhile. What does not count is compiled again and replaced.

mod directory;
mod entry;
mod owner;

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use entry::Header;

/// Changes whenever the files do.
const FORMAT: u32 = 1;

/// A directory of compiled code, for one compiler with its settings.
pub(crate) struct Cache {
    directory: PathBuf,
    version: [u8; 32],
    warnings: Mutex<Vec<String>>,
}

/// Compiled code that is not in the cache, and why, if it should have been there.
pub(crate) struct Miss {
    reason: Option<String>,
}

impl Cache {
    /// Opens a directory, or makes it. The error says what is wrong with it.
    pub fn open(directory: &Path, engine: &wasmtime::Engine) -> Result<Cache, String> {
        directory::open(directory)?;
        Ok(Cache {
            directory: directory.to_owned(),
            version: version(engine),
            warnings: Mutex::default(),
        })
    }

    /// A sealed memory file with the code for a module of this hash.
    pub fn get(&self, sha256: &[u8; 32]) -> Result<File, Miss> {
        let path = self.path(sha256);
        let expected = Header::new(self.version, *sha256);
        match entry::read(&path, &expected) {
            Ok((code, file)) => {
                // Used today: it stays for another while. Only its owner may say so.
                let _ = file.set_modified(SystemTime::now());
                Ok(code)
            }
            Err(entry::Error::Io(error)) if error.kind() == ErrorKind::NotFound => {
                Err(Miss { reason: None })
            }
            Err(error) => Err(Miss {
                reason: Some(error.to_string()),
            }),
        }
    }

    /// Code that this process has from before stays for another while; should it not be there, it is written.
    pub fn keep(&self, sha256: &[u8; 32], code: &File) {
        let path = self.path(sha256);
        match std::fs::symlink_metadata(&path) {
            Ok(known) if known.is_file() => {
                if let Ok(file) = File::open(&path) {
                    let _ = file.set_modified(SystemTime::now());
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.put(sha256, code, Miss { reason: None });
            }
            _ => {}
        }
    }

    /// What came from the cache cannot be used for another reason.
    pub fn reject(&self, reason: String) -> Miss {
        Miss {
            reason: Some(reason),
        }
    }

    /// Writes the code that was missing, and removes what nobody has used for long.
    pub fn put(&self, sha256: &[u8; 32], code: &File, miss: Miss) {
        let path = self.path(sha256);
        let header = Header::new(self.version, *sha256);
        let written = entry::write(&path, header, code);
        let file = path.display();
        let warning = match (miss.reason, written) {
            (None, Ok(())) => None,
            (None, Err(error)) => Some(format!("cannot write \"{file}\": {error}")),
            (Some(reason), Ok(())) => Some(format!("\"{file}\" {reason}: compiled again")),
            (Some(reason), Err(error)) => Some(format!(
                "\"{file}\" {reason}: compiled again, but it cannot be replaced: {error}"
            )),
        };
        if let Some(warning) = warning {
            let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
            warnings.push(warning);
        }
        directory::clean(&self.directory);
    }

    /// What there is to tell since the last time.
    pub fn take_warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *warnings)
    }

    fn path(&self, sha256: &[u8; 32]) -> PathBuf {
        self.directory.join(directory::name(sha256, &self.version))
    }
}

/// What compiled code depends on beside the module.
fn version(engine: &wasmtime::Engine) -> [u8; 32] {
    let mut hasher = Collect(Sha256::new());
    FORMAT.hash(&mut hasher);
    // Wasmtime's own version is in it, the settings, and the features of the processor.
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().into()
}

/// Hashes what a `Hash` is made of.
struct Collect(Sha256);

impl Hasher for Collect {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not asked for.
    fn finish(&self) -> u64 {
        0
    }
}
