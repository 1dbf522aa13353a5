//! What a process runs components with.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use wasm_runtime::{ComponentEngine, Engine, Error, Pool, one_line};
use wasmtime::component::Linker;

use crate::handler::{Handler, Linked};
use crate::linker;
use crate::program::{Entry, Program};
use crate::settings::Settings;
use crate::state::State;

/// What a process runs components with: an engine with its pool of instances, and what it has loaded.
pub struct Runtime {
    engine: ComponentEngine,
    linker: Linker<State>,
    /// By the hash of what they were compiled from.
    linked: Mutex<HashMap<([u8; 32], Entry), Linked>>,
}

impl Runtime {
    /// To be made in the process that is to run components, after the fork. `engine`: the one that has compiled them, or its
    /// copy in this process; its [`Ticker`](crate::Ticker) ends guests that compute for too long.
    pub fn new(engine: &Engine, pool: &Pool) -> Result<Runtime, Error> {
        // Processes that were forked from one must not give the same random numbers.
        if let Err(error) = rand::rng().reseed() {
            return Err(Error::Engine(format!("no random numbers: {error}")));
        }
        let engine = engine.for_components(pool)?;
        let linker = linker::new(engine.wasmtime()).map_err(|e| Error::Engine(one_line(&e)))?;
        Ok(Runtime {
            engine,
            linker,
            linked: Mutex::default(),
        })
    }

    /// A program with its settings, for requests. Its code is mapped, and its imports resolved, at the first call only.
    pub fn handler(&self, program: &Program, settings: Settings) -> Result<Handler, Error> {
        let entry = program.version().map(Entry::Requests);
        self.link(program, entry, settings)
    }

    /// The same for messages.
    pub fn receiver(&self, program: &Program, settings: Settings) -> Result<Handler, Error> {
        let entry = program.messages().map(Entry::Messages);
        self.link(program, entry, settings)
    }

    fn link(
        &self,
        program: &Program,
        entry: Option<Entry>,
        settings: Settings,
    ) -> Result<Handler, Error> {
        let missing = || Error::Engine("the component has no handler of this kind".to_owned());
        let entry = entry.ok_or_else(missing)?;
        let mut known = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (*program.artifact().sha256(), entry);
        let linked = match known.get(&key) {
            Some(linked) => linked.clone(),
            None => {
                let component = self.engine.load(program.artifact())?;
                let linked = linker::link(&self.linker, &component, entry)
                    .map_err(|e| Error::Engine(one_line(&e)))?;
                known.insert(key, linked.clone());
                linked
            }
        };
        Ok(Handler::new(self.engine.clone(), linked, settings))
    }
}
