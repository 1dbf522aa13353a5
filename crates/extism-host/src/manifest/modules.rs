//! The modules of a plugin.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::error::ManifestError;
use crate::imports::{ENV, MAIN};

/// A module of a plugin.
#[derive(Clone, Debug)]
pub struct Module {
    /// What others import it by.
    pub name: String,
    pub source: Source,
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub(crate) hash: Option<String>,
}

/// Where a module comes from.
#[derive(Clone, Debug)]
pub enum Source {
    Path(PathBuf),
    Data(Vec<u8>),
}

impl Module {
    pub(super) fn main(bytes: Vec<u8>) -> Module {
        Module {
            name: MAIN.to_owned(),
            source: Source::Data(bytes),
            hash: None,
        }
    }
}

/// Gives modules their names. One alone is the main one, whatever its name; of several it is the one that is called so or has no
/// name, else the last.
pub fn name_all(modules: Vec<(Option<String>, Module)>) -> Result<Vec<Module>, ManifestError> {
    let last = match modules.len() {
        0 => return Err(ManifestError::NoModules),
        count => count - 1,
    };
    let mut names = HashSet::new();
    let mut named = Vec::new();
    for (index, (name, module)) in modules.into_iter().enumerate() {
        let name = match name {
            _ if index == last && !names.contains(MAIN) => MAIN.to_owned(),
            Some(name) => name,
            None => MAIN.to_owned(),
        };
        if name == ENV {
            return Err(ManifestError::ReservedName(name));
        }
        if !names.insert(name.clone()) {
            return Err(ManifestError::SameName(name));
        }
        named.push(Module { name, ..module });
    }
    Ok(named)
}
