//! What modules may import: what a host has defined.

use wasm_runtime::Outline;
use wasm_runtime::wasmtime::{ExternType, Linker, Store};

use crate::exports::{function_type, outline_type};
use crate::interface::InterfaceError;

/// Compares a module's imports with what is defined in a linker, which are functions alone. `store` is one of the
/// linker's engine; nothing is called in it.
pub fn check<T: 'static>(
    linker: &Linker<T>,
    store: &mut Store<T>,
    outline: &Outline,
) -> Result<(), InterfaceError> {
    let mut unknown = Vec::new();
    for import in &outline.imports {
        let name = format!("{}.{}", import.module, import.name);
        let Ok(host) = linker.get(&mut *store, &import.module, &import.name) else {
            if !unknown.contains(&name) {
                unknown.push(name);
            }
            continue;
        };
        let host = match host.ty(&*store) {
            ExternType::Func(host) => function_type(&host),
            _ => continue,
        };
        let module = outline_type(&import.ty);
        if module != host {
            return Err(InterfaceError::ImportType { name, module, host });
        }
    }
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(InterfaceError::UnknownImports(unknown)),
    }
}
