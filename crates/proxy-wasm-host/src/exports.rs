//! What a guest exports: types, checked when it is compiled, and the functions of an instance.

use guest_host::exports;
use wasm_runtime::Outline;
use wasm_runtime::wasmtime::{Instance, Module, ModuleExport, Store};

use crate::abi::AbiVersion;
use crate::callbacks::{Callbacks, Exports, NAMES};
use crate::error::LoadError;
use crate::functions::{Answer, CallbackFunction};
use crate::memory::ALLOCATORS;

/// Marker exports, the newest first: a module that has several gets the newest.
const ABI_MARKERS: [(&str, AbiVersion); 4] = [
    ("proxy_abi_version_0_2_100", AbiVersion::V0_2_100),
    ("proxy_abi_version_0_2_1", AbiVersion::V0_2_1),
    ("proxy_abi_version_0_2_0", AbiVersion::V0_2_0),
    ("proxy_abi_version_0_1_0", AbiVersion::V0_1_0),
];
const ABI_MARKER: &str = "proxy_abi_version_";

const VOID: &[&str] = &["() -> ()"];
/// C's, with or without arguments and result.
const MAIN: &[&str] = &["(i32, i32) -> i32", "() -> i32", "() -> ()"];

/// Checks a module's exports; tells its version and which callbacks it has.
pub(crate) fn check(module: &Outline) -> Result<(AbiVersion, Callbacks), LoadError> {
    let abi = ABI_MARKERS
        .iter()
        .find(|(name, _)| module.export(name).is_some())
        .map(|(_, abi)| *abi);
    let Some(abi) = abi else {
        let mut exports = module.exports.iter();
        let other = exports.find(|export| export.name.starts_with(ABI_MARKER));
        return Err(match other {
            Some(other) => LoadError::UnsupportedAbi(other.name.clone()),
            None => LoadError::NoAbi,
        });
    };

    exports::check_memory(module)?;

    let callbacks = Callbacks::of(module)?;
    // What is not used may have any type.
    for name in ALLOCATORS {
        if exports::check(module, name, Answer::TYPES)? {
            break;
        }
    }
    if !exports::check(module, "_initialize", VOID)? && exports::check(module, "_start", VOID)? {
        return Ok((abi, callbacks));
    }
    exports::check(module, "main", MAIN)?;
    Ok((abi, callbacks))
}

/// Where a module has its callbacks, by their place in the table, for instances that are made in a hurry.
pub(crate) struct Places(Vec<Option<ModuleExport>>);

impl Places {
    pub fn of(module: &Module) -> Places {
        let names = NAMES.iter();
        Places(names.map(|name| module.get_export_index(name)).collect())
    }

    pub fn exports<T: 'static>(&self, store: &mut Store<T>, instance: &Instance) -> Exports {
        Exports::of(store, |store, place| {
            let export = self.0.get(place)?.as_ref()?;
            instance.get_module_export(store, export)?.into_func()
        })
    }
}

/// The callbacks of an instance.
pub(crate) fn exports<T: 'static>(store: &mut Store<T>, instance: &Instance) -> Exports {
    Exports::of(store, |store, place| {
        instance.get_func(store, NAMES.get(place)?)
    })
}
