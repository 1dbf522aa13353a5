//! Compiling a module, or finding it compiled.

use wasmtime::Module;

use crate::artifact::{self, Artifact, sha256};
use crate::cache::{Cache, Miss};
use crate::engine::Engine;
use crate::error::Error;
use crate::outline::Outline;
use crate::snapshot::rewrite::{check_code, rewrite};
use crate::snapshot::state::Initial;
use crate::source::{binary, invalid};

impl Engine {
    /// Compiles the binary or text format. Bytes that some live artifact of this process, or of
    /// the one it was forked from, was compiled from are not compiled again.
    pub fn compile(&self, bytes: &[u8]) -> Result<Artifact, Error> {
        let (artifact, ()) = self.compile_if(bytes, |_| Ok::<_, Error>(()))?;
        Ok(artifact)
    }

    /// The same for a small module of this program's own: it is neither counted nor kept in the cache.
    pub fn compile_own(&self, bytes: &[u8]) -> Result<Artifact, Error> {
        let sha256 = sha256(bytes);
        match Artifact::find(&sha256) {
            Some(artifact) => Ok(artifact),
            None => self.compile_binary(sha256, &binary(bytes)?, None),
        }
    }

    /// The same where `check` takes what the module imports and exports: it is asked before
    /// anything is compiled, which can take seconds.
    pub fn compile_if<R, E: From<Error>>(
        &self,
        bytes: &[u8],
        check: impl FnOnce(&Outline) -> Result<R, E>,
    ) -> Result<(Artifact, R), E> {
        let sha256 = sha256(bytes);
        let found = self.find(&sha256);
        let binary = binary(bytes)?;
        if found.is_err() {
            self.validate(&binary)?;
        }
        let checked = check(&Outline::of(&binary)?)?;
        let artifact = match found {
            Ok(artifact) => artifact,
            Err(miss) => self.compile_binary(sha256, &binary, miss)?,
        };
        Ok((artifact, checked))
    }

    /// The same for a module whose instances are to be started from snapshots.
    pub fn compile_for_snapshots(&self, bytes: &[u8]) -> Result<(Artifact, Initial), Error> {
        let (artifact, initial, ()) =
            self.compile_for_snapshots_if(bytes, |_| Ok::<_, Error>(()))?;
        Ok((artifact, initial))
    }

    /// The same where `check` takes what the module imports and exports.
    pub fn compile_for_snapshots_if<R, E: From<Error>>(
        &self,
        bytes: &[u8],
        check: impl FnOnce(&Outline) -> Result<R, E>,
    ) -> Result<(Artifact, Initial, R), E> {
        let binary = binary(bytes)?;
        let rewritten = rewrite(&binary);
        let rewritten = match rewritten {
            Ok(rewritten) => rewritten,
            Err(error) => return Err(self.validate(&binary).err().unwrap_or(error).into()),
        };
        // Under which of the two it was compiled tells what a look at all of its code did, which takes longer than all the rest.
        let hash = sha256(&rewritten.binary);
        let keys = [false, true].map(|drops_data| snapshot_key(&hash, drops_data));
        let mut found = keys.map(|key| self.look_up(&key));
        let known = found.iter().position(Result::is_ok);
        artifact::count(known.is_some());
        if known.is_none() {
            self.validate(&binary)?;
        }
        let checked = check(&Outline::of(&binary)?)?;
        let drops_data = match known {
            Some(known) => known == 1,
            None => check_code(&binary)?,
        };
        let which = usize::from(drops_data);
        let artifact = match std::mem::replace(&mut found[which], Err(None)) {
            Ok(artifact) => artifact,
            Err(miss) => self.compile_binary(keys[which], &rewritten.binary, miss)?,
        };
        let initial = Initial {
            data: rewritten.data.into(),
            rewinds: !drops_data,
        };
        Ok((artifact, initial, checked))
    }

    /// Apart from compiling, so that a broken module is told from a failing compiler.
    fn validate(&self, binary: &[u8]) -> Result<(), Error> {
        Module::validate(self.wasmtime(), binary).map_err(|e| invalid(&e, binary))
    }

    /// What was compiled already, in this process or into the cache; counted.
    fn find(&self, sha256: &[u8; 32]) -> Result<Artifact, Option<Miss>> {
        let found = self.look_up(sha256);
        artifact::count(found.is_ok());
        found
    }

    fn look_up(&self, sha256: &[u8; 32]) -> Result<Artifact, Option<Miss>> {
        self.look_up_with(sha256, |artifact| self.load(artifact).map(drop))
    }

    /// The same where `fits` tells whether what is in the cache can be run.
    pub(crate) fn look_up_with(
        &self,
        sha256: &[u8; 32],
        fits: impl FnOnce(&Artifact) -> Result<(), Error>,
    ) -> Result<Artifact, Option<Miss>> {
        match Artifact::find(sha256) {
            Some(artifact) => {
                if let Some(cache) = self.cache() {
                    cache.keep(sha256, artifact.file());
                }
                Ok(artifact)
            }
            None => match self.cache() {
                Some(cache) => cached(cache, sha256, fits).map_err(Some),
                None => Err(None),
            },
        }
    }

    pub(crate) fn compile_binary(
        &self,
        sha256: [u8; 32],
        binary: &[u8],
        miss: Option<Miss>,
    ) -> Result<Artifact, Error> {
        let code = self.precompile(binary)?;
        if let (Some(cache), Some(miss)) = (self.cache(), miss) {
            cache.put(&sha256, &code, miss);
        }
        Ok(Artifact::new(sha256, code))
    }
}

fn cached(
    cache: &Cache,
    sha256: &[u8; 32],
    fits: impl FnOnce(&Artifact) -> Result<(), Error>,
) -> Result<Artifact, Miss> {
    let artifact = Artifact::new(*sha256, cache.get(sha256)?);
    match fits(&artifact) {
        Ok(()) => Ok(artifact),
        Err(error) => Err(cache.reject(format!("does not fit ({error})"))),
    }
}

/// What the code of a rewritten module is kept under. No module that is compiled as it is has the same, for its code was not
/// checked; nor has one that differs in `drops_data`.
fn snapshot_key(rewritten: &[u8; 32], drops_data: bool) -> [u8; 32] {
    let kind: &[u8] = match drops_data {
        false => b"snapshot",
        true => b"snapshot, drops data",
    };
    sha256(&[rewritten, kind].concat())
}
