//! What an engine has loaded and linked.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use wasmtime::{Engine, InstancePre, Linker, Module};

use crate::artifact::{self, Artifact};
use crate::error::{Error, one_line};

/// The modules of an engine by the hash of their bytes. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Modules(Arc<Mutex<HashMap<[u8; 32], Loaded>>>);

/// A module, for as long as its artifact lives.
struct Loaded {
    artifact: Weak<artifact::Inner>,
    module: Module,
    /// With its imports resolved: an `InstancePre<T>` for each kind of host.
    linked: Vec<Box<dyn Any + Send>>,
}

impl Modules {
    /// The artifact's module in this engine; maps it at the first call only.
    pub fn load(&self, engine: &Engine, artifact: &Artifact) -> Result<Module, Error> {
        let mut loaded = self.lock();
        if let Some(known) = loaded.get(artifact.sha256())
            && known.artifact.strong_count() > 0
        {
            return Ok(known.module.clone());
        }
        let module = map(engine, artifact)?;
        loaded.retain(|_, known| known.artifact.strong_count() > 0);
        loaded.insert(
            *artifact.sha256(),
            Loaded {
                artifact: artifact.downgrade(),
                module: module.clone(),
                linked: Vec::new(),
            },
        );
        Ok(module)
    }

    /// The same with its imports resolved; links it at the first call only.
    pub fn link<T: 'static>(
        &self,
        engine: &Engine,
        artifact: &Artifact,
        define: impl FnOnce(&mut Linker<T>) -> wasmtime::Result<()>,
    ) -> Result<InstancePre<T>, Error> {
        let module = self.load(engine, artifact)?;
        if let Some(known) = self.linked(artifact) {
            return Ok(known);
        }
        let mut linker = Linker::new(engine);
        let instance_pre = define(&mut linker)
            .and_then(|()| linker.instantiate_pre(&module))
            .map_err(|e| Error::Engine(one_line(&e)))?;
        if let Some(loaded) = self.lock().get_mut(artifact.sha256()) {
            loaded.linked.push(Box::new(instance_pre.clone()));
        }
        Ok(instance_pre)
    }

    fn linked<T: 'static>(&self, artifact: &Artifact) -> Option<InstancePre<T>> {
        let loaded = self.lock();
        let mut linked = loaded.get(artifact.sha256())?.linked.iter();
        linked.find_map(|linked| linked.downcast_ref().cloned())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Loaded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Maps an artifact's file.
#[allow(unsafe_code)]
fn map(engine: &Engine, artifact: &Artifact) -> Result<Module, Error> {
    let file = artifact
        .file()
        .try_clone()
        .map_err(|e| Error::Artifact(e.to_string()))?;
    // SAFETY: the file holds what this program's own `Engine::precompile` made of a module, and is sealed,
    // so nothing has changed it since, nor can. Wasmtime checks that the settings are the same.
    unsafe { Module::deserialize_open_file(engine, file) }
        .map_err(|e| Error::Artifact(one_line(&e)))
}
