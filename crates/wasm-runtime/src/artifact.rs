//! Compiled code in an anonymous file, shared by all processes forked from this one.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memfd::{FileSeal, Memfd, MemfdOptions};
use sha2::{Digest, Sha256};

/// SHA-256 of the bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A compiled module, of no process in particular. Clone = refcount.
///
/// Its code lies in a sealed memory file, which is freed with the last clone and the last module
/// loaded from it.
#[derive(Clone)]
pub struct Artifact {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    sha256: [u8; 32],
    file: File,
}

/// What came of calls to [`Engine::compile`](crate::Engine::compile) in this process, or in the one it was forked from
/// up to then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompileCounts {
    /// An artifact was there, or the code was in the cache.
    pub hits: u64,
    /// The bytes had to be compiled, or could not be.
    pub misses: u64,
}

static HITS: AtomicU64 = AtomicU64::new(0);
static MISSES: AtomicU64 = AtomicU64::new(0);

/// Counts a call.
pub(crate) fn count(hit: bool) {
    let count = if hit { &HITS } else { &MISSES };
    count.fetch_add(1, Ordering::Relaxed);
}

/// How often compiled code was there already.
pub fn compile_counts() -> CompileCounts {
    CompileCounts {
        hits: HITS.load(Ordering::Relaxed),
        misses: MISSES.load(Ordering::Relaxed),
    }
}

/// What is alive in this process, so that unchanged bytes are not compiled again.
static REGISTRY: Mutex<Option<HashMap<[u8; 32], Weak<Inner>>>> = Mutex::new(None);

impl Artifact {
    /// SHA-256 of the bytes it was compiled from.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.inner.sha256
    }

    /// The live artifact compiled from bytes of this hash, if there is one.
    pub(crate) fn find(sha256: &[u8; 32]) -> Option<Artifact> {
        let registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
        let known = registry.as_ref().and_then(|all| all.get(sha256));
        let found = known.and_then(Weak::upgrade);
        found.map(|inner| Artifact { inner })
    }

    /// An artifact of a sealed memory file with what [`Engine::precompile`](crate::Engine) returned for bytes of this hash.
    pub(crate) fn new(sha256: [u8; 32], file: File) -> Artifact {
        let inner = Arc::new(Inner { sha256, file });
        let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
        let registry = registry.get_or_insert_default();
        registry.retain(|_, artifact| artifact.strong_count() > 0);
        registry.insert(sha256, Arc::downgrade(&inner));
        Artifact { inner }
    }

    pub(crate) fn file(&self) -> &File {
        &self.inner.file
    }

    pub(crate) fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.inner)
    }
}

/// What the memory files of compiled code are called.
pub(crate) const CODE: &str = "wasm-code";

/// An anonymous file that is being written.
pub(crate) struct MemoryFile(Memfd);

impl MemoryFile {
    /// `name` is shown in the process's mappings.
    pub fn new(name: &str) -> io::Result<MemoryFile> {
        let options = MemfdOptions::default()
            .close_on_exec(true)
            .allow_sealing(true);
        options.create(name).map(MemoryFile).map_err(plain)
    }

    pub fn file(&self) -> &File {
        self.0.as_file()
    }

    /// Seals it: from now on nobody can change what is in it, or mapped from it.
    pub fn seal(self) -> io::Result<File> {
        self.0
            .add_seals(&[
                FileSeal::SealShrink,
                FileSeal::SealGrow,
                FileSeal::SealWrite,
                FileSeal::SealSeal,
            ])
            .map_err(plain)?;
        Ok(self.0.into_file())
    }
}

fn plain(error: memfd::Error) -> io::Error {
    match error {
        memfd::Error::Create(error)
        | memfd::Error::AddSeals(error)
        | memfd::Error::GetSeals(error) => error,
    }
}
