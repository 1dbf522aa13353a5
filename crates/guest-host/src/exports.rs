//! What modules export: types, checked before a module is compiled, and the functions of an instance.

use wasm_runtime::wasmtime::{FuncType, Instance, Store, TypedFunc, WasmParams, WasmResults};
use wasm_runtime::{Outline, Type};

use crate::interface::InterfaceError;

/// Is a function exported? With none of the types, which are written as `(i32, i32) -> i32`, it is an error.
pub fn check(outline: &Outline, name: &str, types: &[&str]) -> Result<bool, InterfaceError> {
    let found = match outline.export(name) {
        None => return Ok(false),
        Some(found) => outline_type(found),
    };
    if types.contains(&found.as_str()) {
        return Ok(true);
    }
    Err(InterfaceError::ExportType {
        name: name.to_owned(),
        module: found,
        expected: types.join(" or "),
    })
}

/// Guests must export a memory of the name `memory`.
pub fn check_memory(outline: &Outline) -> Result<(), InterfaceError> {
    match outline.export("memory") {
        Some(Type::Memory) => Ok(()),
        _ => Err(InterfaceError::NoMemory),
    }
}

/// An exported function, if it is there with this type.
pub fn function<T: 'static, A: WasmParams, R: WasmResults>(
    instance: &Instance,
    store: &mut Store<T>,
    name: &str,
) -> Option<TypedFunc<A, R>> {
    instance.get_func(&mut *store, name)?.typed(&*store).ok()
}

/// `(i32, i32) -> i32`
pub(crate) fn function_type(function: &FuncType) -> String {
    let params: Vec<_> = function.params().map(|ty| ty.to_string()).collect();
    let results: Vec<_> = function.results().map(|ty| ty.to_string()).collect();
    signature(&params, &results)
}

/// The same of a module's own.
pub(crate) fn outline_type(ty: &Type) -> String {
    match ty {
        Type::Func { params, results } => signature(params, results),
        _ => "something that is no function".to_owned(),
    }
}

fn signature(params: &[String], results: &[String]) -> String {
    match results {
        [one] => format!("({}) -> {one}", params.join(", ")),
        results => format!("({}) -> ({})", params.join(", "), results.join(", ")),
    }
}
