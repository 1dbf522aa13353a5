//! What an operator says about a plugin.

mod json;
mod modules;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use glob::Pattern;

use crate::error::ManifestError;
pub use modules::{Module, Source};

/// A plugin's modules, and what it may do. That of Extism, as JSON.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Never empty; no name is there twice, and the main one is called `main`.
    pub(crate) modules: Vec<Module>,
    /// Pages of 64 KiB that all memories together may grow by after the start; the main module's must fit in as many.
    pub max_pages: Option<u32>,
    /// Most bytes of a response to `http_request`.
    pub max_http_response_bytes: u64,
    /// Most bytes of all vars with their keys, and 48 for each; 0: none can be set.
    pub max_var_bytes: u64,
    /// What `config_get` answers.
    pub config: BTreeMap<String, String>,
    pub(crate) allowed_hosts: Vec<Pattern>,
    /// What guests are to see of the file system: path, and path in the guest.
    pub allowed_paths: BTreeMap<String, PathBuf>,
    /// The time that a call may take, waiting and all.
    pub timeout: Option<Duration>,
}

impl Manifest {
    /// Reads a manifest. Nothing is opened: its paths are as they are written.
    pub fn parse(json: &[u8]) -> Result<Manifest, ManifestError> {
        json::parse(json)
    }

    /// That of a module alone, of the binary or the text format.
    pub fn of_module(bytes: Vec<u8>) -> Manifest {
        Manifest {
            modules: vec![Module::main(bytes)],
            max_pages: None,
            max_http_response_bytes: 50 << 20,
            max_var_bytes: 1 << 20,
            config: BTreeMap::new(),
            allowed_hosts: Vec::new(),
            allowed_paths: BTreeMap::new(),
            timeout: None,
        }
    }

    /// The modules, in the manifest's order.
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// Allows `http_request` to hosts that match a pattern: `*` any characters, `?` one, `[a-z]` one of these. What is matched
    /// is the host of the URL alone, in lower case.
    pub fn allow_host(&mut self, pattern: &str) -> Result<(), ManifestError> {
        let compiled = Pattern::new(pattern).map_err(|error| ManifestError::Host {
            pattern: pattern.to_owned(),
            reason: error.msg,
        })?;
        self.allowed_hosts.push(compiled);
        Ok(())
    }

    /// The patterns of hosts.
    pub fn allowed_hosts(&self) -> impl Iterator<Item = &str> {
        self.allowed_hosts.iter().map(Pattern::as_str)
    }
}
