//! Compiled code in an anonymous file, shared by all processes forked from this one.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memfd::{FileSeal, MemfdOptions};
use sha2::{Digest, Sha256};

use crate::error::Error;

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
    /// An artifact was there.
    pub hits: u64,
    /// The bytes had to be compiled, or could not be.
    pub misses: u64,
}

static HITS: AtomicU64 = AtomicU64::new(0);
static MISSES: AtomicU64 = AtomicU64::new(0);

/// How often an artifact was there already.
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
        let count = if found.is_some() { &HITS } else { &MISSES };
        count.fetch_add(1, Ordering::Relaxed);
        found.map(|inner| Artifact { inner })
    }

    /// Stores what `wasmtime::Engine::precompile_module` returned for bytes of this hash.
    pub(crate) fn store(sha256: [u8; 32], code: &[u8]) -> Result<Artifact, Error> {
        let file = memory_file(code).map_err(Error::Artifact)?;
        let inner = Arc::new(Inner { sha256, file });

        let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
        let registry = registry.get_or_insert_default();
        registry.retain(|_, artifact| artifact.strong_count() > 0);
        registry.insert(sha256, Arc::downgrade(&inner));
        Ok(Artifact { inner })
    }

    pub(crate) fn file(&self) -> &File {
        &self.inner.file
    }

    pub(crate) fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.inner)
    }
}

/// A sealed anonymous file: nobody can change what is mapped from it.
fn memory_file(bytes: &[u8]) -> Result<File, String> {
    let memfd = MemfdOptions::default()
        .close_on_exec(true)
        .allow_sealing(true)
        .create("wasm-code")
        .map_err(|e| e.to_string())?;
    memfd
        .as_file()
        .write_all(bytes)
        .map_err(|e| format!("writing {} bytes to memory: {e}", bytes.len()))?;
    memfd
        .add_seals(&[
            FileSeal::SealShrink,
            FileSeal::SealGrow,
            FileSeal::SealWrite,
            FileSeal::SealSeal,
        ])
        .map_err(|e| e.to_string())?;
    Ok(memfd.into_file())
}
